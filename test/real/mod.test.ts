import { testParity } from './parity-suite.ts'

const OWN_SYMBOLS = 'the dump has the symbols of modules: no object file is loaded, none is listed'

testParity('mod', {
  'mod_-s_veth_tmp_realcore_w_dbg-amd64_usr_lib_debug_lib_modules_6.1.0-56-amd64_kernel_drive': OWN_SYMBOLS,
  'mod~2': OWN_SYMBOLS,
})
