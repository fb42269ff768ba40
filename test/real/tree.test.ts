import { testParity } from './parity-suite.ts'

testParity('tree')
