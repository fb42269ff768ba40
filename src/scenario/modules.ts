/** The modules a scenario can load: every file of src/modules says its name by being imported here. */

import { findModuleDefinition, moduleDefinitions, type ModuleDefinition } from '../linux/kernel/module/api.ts'
import '../modules/adds.ts'
import '../modules/e1000.ts'
import '../modules/edu.ts'
import '../modules/filter.ts'
import '../modules/fwnet.ts'
import '../modules/nf_verdict.ts'
import '../modules/null_deref.ts'
import '../modules/nsys.ts'
import '../modules/open_logger.ts'
import '../modules/pci_stub.ts'
import '../modules/recvmsg_block.ts'
import '../modules/shackles.ts'
import '../modules/softice.ts'
import '../modules/tcp_sock.ts'
import '../modules/tcp_sock_accept.ts'
import '../modules/udp_sock.ts'

export const moduleNames = (): string[] => moduleDefinitions().map(({ name }) => name)

/** Undefined for a name nobody has; the grammar has checked names before. */
export const findModule = (name: string): ModuleDefinition | undefined => findModuleDefinition(name)
