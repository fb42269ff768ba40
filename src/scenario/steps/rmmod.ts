/** A module is unloaded, by the program of that name. */

import { z } from 'zod'
import { name } from '../fields.ts'
import { defineStep } from '../step.ts'

export const rmmod = defineStep({
  name: 'rmmod',
  summary: 'unload a kernel module',
  example: '- rmmod: recvmsg_block',
  params: z.union([name, z.strictObject({ module: name, name: name.optional(), parent: name.optional() })]),
  check: (params, check) => {
    if (typeof params === 'string') {
      check.use('module', params, [])
      return
    }
    check.use('module', params.module, ['module'])
    if (params.parent !== undefined) check.use('process', params.parent, ['parent'])
    if (params.name !== undefined) check.declare('process', params.name, ['name'])
  },
  run: (run, params) => {
    const { module, ...rest } = typeof params === 'string' ? { module: params } : params
    run.programs.start({ ...rest, argv: ['rmmod', module] })
  },
})
