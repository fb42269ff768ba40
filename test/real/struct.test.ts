import { testParity } from './parity-suite.ts'

const FLATTENED = 'BTF has one dimension for two: unsigned long tags[3][1] is [3]'
const FLEXIBLE = 'BTF does not tell x[0] from x[]: a last member is written []'

testParity('struct', {
  struct_xa_node: FLATTENED,
  'struct_-o_xa_node': FLATTENED,
  struct_neighbour: FLEXIBLE,
  'struct_-o_neighbour': FLEXIBLE,
})
testParity('union')
