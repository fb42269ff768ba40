import { testParity } from './parity-suite.ts'

const FILTERED = 'makedumpfile left user pages out of this dump; crash had all of it'

testParity('ps', {
  'panic/ps_-a': FILTERED,
  'panic/ps_-a_1': FILTERED,
  'panic/ps_-a_133': FILTERED,
  'panic/ps_-a_142': FILTERED,
  'panic/ps_-a_148': FILTERED,
  'panic/ps_-a_161': FILTERED,
  'panic/ps_-a_178': FILTERED,
})
