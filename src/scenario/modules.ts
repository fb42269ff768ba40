/** The modules a scenario can load: every file of src/modules says its name by being imported here. */

import { findModuleDefinition, moduleDefinitions, type ModuleDefinition } from '../linux/kernel/module/api.ts'
import '../modules/e1000.ts'
import '../modules/recvmsg_block.ts'

export const moduleNames = (): string[] => moduleDefinitions().map(({ name }) => name)

/** Undefined for a name nobody has; the grammar has checked names before. */
export const findModule = (name: string): ModuleDefinition | undefined => findModuleDefinition(name)
