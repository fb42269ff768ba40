/** The hooks no module needs to do anything in: declared so that they have text, a frame and a probe point. */

import { LSM_HOOK_DEFAULTS } from '../../abi/lsm.ts'
import { kernelFunctions, kfunc } from '../kfunc.ts'
// what these files declare is not declared again
import './apparmor/lsm.ts'
import './commoncap.ts'
import './tomoyo.ts'
import { securityModules } from './lsm-hooks.ts'
import { LSM_HOOKS } from './hook-names.ts'

const declared = new Set(kernelFunctions.map((f) => f.kfunc.name))

for (const { file, arrays } of securityModules(LSM_HOOKS)) {
  for (const [head, hook] of arrays.flatMap(({ hooks }) => hooks)) {
    if (declared.has(hook)) continue
    declared.add(hook)
    const answer = LSM_HOOK_DEFAULTS[head] ?? 0
    const functions = { [hook]: (): number => answer }
    kfunc(file, functions[hook] as () => number)
  }
}
