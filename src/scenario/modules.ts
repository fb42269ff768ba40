/** The modules a scenario can load, by name. */

import type { ModuleDefinition } from '../linux/kernel/module/api.ts'

const known: readonly ModuleDefinition[] = []

export const moduleNames = (): string[] => known.map((module) => module.name)

/** Undefined for a name nobody has; the grammar has checked names before. */
export const findModule = (name: string): ModuleDefinition | undefined =>
  known.find((module) => module.name === name)
