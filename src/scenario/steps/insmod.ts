/** A module is loaded, by the program of that name. */

import { z } from 'zod'
import { name, word } from '../fields.ts'
import { defineStep } from '../step.ts'

export const insmod = defineStep({
  name: 'insmod',
  summary: 'load a kernel module with its parameters',
  example: '- insmod: { module: recvmsg_block, params: { deny: 192.168.56.101 } }',
  params: z.strictObject({
    module: name,
    params: z.record(z.string().regex(/^\w{1,60}$/), z.union([z.string(), word, z.boolean()])).default({}),
    name: name.optional().describe('what expectations call the insmod process'),
    parent: name.optional().describe('the process that runs insmod; pid 1 when left out'),
  }),
  check: (params, check) => {
    check.use('module', params.module, ['module'])
    if (params.parent !== undefined) check.use('process', params.parent, ['parent'])
    if (params.name !== undefined) check.declare('process', params.name, ['name'])
  },
  run: (run, { module, params, name, parent }) => {
    run.programs.insmod(module, moduleWords(params), { name, parent })
  },
})

/** Parameters as they stand on insmod's command line. */
export const moduleWords = (params: Readonly<Record<string, string | bigint | boolean>>): string[] =>
  Object.entries(params).map(
    ([key, value]) => `${key}=${typeof value === 'boolean' ? ('NY'[Number(value)] ?? '') : value}`,
  )
