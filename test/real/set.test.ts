import { testParity } from './parity-suite.ts'

testParity('set', { 'set_-v': 'names its own files, and whether this session is silent' })
