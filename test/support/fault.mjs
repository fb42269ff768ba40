/**
 * Fault injection for the test build: `node --import ./test/support/fault.mjs bin/run.js …` with
 * COREDRILL_FAULT=MODULE:CONSTANT=VALUE in the environment (`abi/tcp.js:TCP_INIT_CWND=11`) runs the program with that
 * exported constant changed. The program knows nothing of it.
 */

import { register } from 'node:module'

register(new URL('fault-hooks.mjs', import.meta.url))
