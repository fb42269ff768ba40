import { testParity } from './parity-suite.ts'

const EXCLUDED = 'recorded on the full dump; the one kept has user and free pages left out'

testParity('search', {
  'panic/search_-p_deadbeefbaadf00d': EXCLUDED,
  'panic/search_-k_-c_zoo-anon': EXCLUDED,
  'panic/pid178_search_-u_deadbeefbaadf00d': EXCLUDED,
  'panic/pid178_search_-c_fixed': EXCLUDED,
})
