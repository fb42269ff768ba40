/**
 * What insmod and rmmod say. They translate some errors their own way: ENOENT from finit_module is a symbol, not a
 * file.
 *
 * @see kmod tools/insmod.c:mod_strerror, tools/rmmod.c
 */

import { EINVAL, ENOENT, ENOEXEC, ESRCH, strerror } from '../abi/errno.ts'

/** @param error positive errno of finit_module(2) */
function mod_strerror(error: number): string {
  switch (error) {
    case ENOEXEC:
      return 'Invalid module format'
    case ENOENT:
      return 'Unknown symbol in module'
    case ESRCH:
      return 'Module has wrong symbol version'
    case EINVAL:
      return 'Invalid parameters'
    default:
      return strerror(error)
  }
}

/** The line insmod prints, and then exits with 1. @param error positive errno of finit_module(2) */
export const insmodError = (path: string, error: number): string =>
  `insmod: ERROR: could not insert module ${path}: ${mod_strerror(error)}`

/** The line insmod prints when there is no such file. @param error positive errno of open(2) */
export const insmodNoFile = (path: string, error: number): string =>
  `insmod: ERROR: could not load module ${path}: ${strerror(error)}`

/**
 * The line rmmod prints, and then exits with 1. It looks at the reference count and the list of users itself, before any
 * system call.
 */
export function rmmodError(
  name: string,
  problem: 'absent' | 'in use' | { readonly users: readonly string[] } | number,
): string {
  if (problem === 'absent') return `rmmod: ERROR: Module ${name} is not currently loaded`
  if (problem === 'in use') return `rmmod: ERROR: Module ${name} is in use`
  if (typeof problem === 'object')
    return `rmmod: ERROR: Module ${name} is in use by: ${problem.users.join(' ')}`
  return `rmmod: ERROR: could not remove module ${name}: ${strerror(problem)}`
}
