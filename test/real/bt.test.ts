import { testParity } from './parity-suite.ts'

const LINES = 'no memory holds line numbers'

testParity('bt', {
  'bt_-l_1': LINES,
  'bt_-l_133': LINES,
  'bt_-l_142': LINES,
  'bt_-l_148': LINES,
  'bt_-l_161': LINES,
  'bt_-l_178': LINES,
  'panic/bt_-r_1': 'a label of the object file (.LC0) that no kernel keeps in its symbols',
})
