/** A system call, made by a process as it stands: for what no program does. */

import { z } from 'zod'
import { data, endpoint, name, word } from '../fields.ts'
import { defineStep } from '../step.ts'

const argument = z.union([
  word,
  z.strictObject({ bytes: data }).describe('the address of these bytes in the process'),
  z.strictObject({ buffer: word }).describe('the address of that many zero bytes'),
  z.strictObject({ sockaddr: endpoint }).describe('the address of a struct sockaddr_in'),
  z.strictObject({ result: name }).describe('what an earlier system call returned'),
])

const params = z.strictObject({
  process: name.describe('a process running the program `syscalls`, which waits for these steps'),
  call: z.union([z.string().regex(/^[a-z]\w{1,40}$/), word]).describe('name or number'),
  args: z.array(argument).max(6).default([]),
  result: name.optional().describe('a name for what it returns'),
  expect: word.optional().describe('the value it must return; negative is -errno'),
})
export type SyscallStep = z.output<typeof params>

export const syscall = defineStep({
  name: 'syscall',
  summary: 'a process makes a system call',
  example: '- syscall: { process: tester, call: socket, args: [2, 1, 0], result: fd }',
  params,
  check: (params, check) => check.use('process', params.process, ['process']),
  run: (run, params) => run.programs.systemCall(params),
})
