import { testParity } from './parity-suite.ts'

testParity('dev')
