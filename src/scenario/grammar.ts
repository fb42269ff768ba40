/** The grammar of a scenario but for its steps: every key, what it takes, and what it means. */

import { z } from 'zod'
import { UsageError } from '../base/errors.ts'
import { parseProbe } from '../linux/kernel/trace/trace_kprobe.ts'
import { address, data, duration, endpoint, hostState, ipv4, mac, name, network, path, pid, port, size, symbol, uid, whole, word } from './fields.ts' // prettier-ignore

const text = z.string().max(100_000)
const argv = z
  .array(z.string().max(4096))
  .min(1, { error: 'expected at least the name of the program' })
  .max(256)

/** An object that must lie at a given address. */
export const pinSchema = z
  .strictObject({
    object: name.optional().describe('what the scenario calls it'),
    cache: z
      .string()
      .regex(/^[\w:.-]{1,40}$/, { error: 'expected the name of a slab cache' })
      .describe('slab cache it comes from: TCP, filp, dentry, sock_inode_cache, task_struct …'),
    address: address.describe('where it must lie'),
    within: symbol.optional().describe('only an allocation inside this kernel function'),
  })
  .describe('the next object of a slab cache, at a given address')
export type PinSpec = z.output<typeof pinSchema>
const pins = z.array(pinSchema).max(64)

const clockSchema = z.strictObject({
  boot: z
    .string()
    .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/, {
      error: 'expected a time in UTC such as 2026-01-31T12:00:00Z',
    })
    .optional()
    .describe('wall time when the machine boots'),
  uptime: duration.optional().describe('time since boot when the first step runs'),
})

const deviceSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9]{0,14}$/, { error: 'expected a device name such as eth0' })
    .refine((v) => v !== 'lo', { error: 'lo is always there' }),
  kind: z.enum(['e1000']).default('e1000'),
  mac,
  address: network,
  irq_cpu: whole(0, 63).default(0).describe('the processor that takes its interrupts'),
  gateway: ipv4.optional(),
})

const hostSchema = z.strictObject({
  name,
  address: ipv4,
  mac: mac.optional().describe('made from the seed when left out'),
  device: z.string().optional().describe('the card on whose segment it is; the first one when left out'),
  delay: duration.default(20_000).describe('time it takes to answer'),
  listen: z.array(port).max(64).default([]).describe('ports on which it accepts connections'),
  silent: z.boolean().default(false).describe('never answers anything'),
  window_scale: whole(0, 14).default(7).describe('shift of the windows it announces'),
})

const fileSchema = z.strictObject({
  kind: z.enum(['dir', 'file']).default('file'),
  mode: whole(0, 0o7777).optional(),
  uid: uid.default(0),
  gid: uid.default(0),
  contents: data.optional(),
})

/** What processes have in common, started before the first step or by one. */
export const processFields = {
  argv: argv.describe('arguments; the first names the program'),
  uid: uid.optional(),
  gid: uid.optional(),
  cwd: path.optional().describe('current directory, made when it is not there'),
  tty: z
    .string()
    .regex(/^\/dev\/(pts\/\d{1,4}|tty\d{1,2}|console|null)$/, {
      error: 'expected a terminal such as /dev/pts/2',
    })
    .optional()
    .describe('file descriptors 0, 1 and 2'),
  cpu: whole(0, 63).optional().describe('the processor it runs on'),
  vsz: size.optional().describe('its virtual memory'),
  rss: size.optional().describe('how much of that is resident'),
} as const

const processSchema = z.strictObject({
  name: name.optional().describe('what steps call it'),
  pid,
  ppid: pid.default(1),
  comm: z.string().min(1).max(15).optional().describe("the task's name; the program's when left out"),
  ...processFields,
  pins: pins.optional(),
})

const moduleSchema = z.strictObject({
  name,
  params: z.record(z.string(), z.union([z.string(), word, z.boolean()])).optional(),
})

/** A kprobe as perf-tools' `kprobe` takes it. */
export const probeSchema = z
  .union([
    z.string(),
    z.strictObject({
      probe: z.string().min(3).max(400),
      name: name.optional(),
      stack: z.boolean().default(false).describe('a stack trace with every hit (kprobe -s)'),
      stack_delay: duration.optional().describe('time that passes between a hit and its stack trace'),
    }),
  ])
  .transform((given) => (typeof given === 'string' ? { probe: given, stack: false } : given))
  .superRefine(({ probe }, ctx) => {
    try {
      parseProbe(probe, 8)
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      ctx.addIssue({ code: 'custom', message: error.message })
    }
  })
export type ProbeSpec = z.output<typeof probeSchema>

const comparable = z.union([word, z.string(), z.boolean(), z.number()])

/** Which objects the names `task`, `file`, `socket`, `sk` … of an expression stand for. */
const subjectSchema = z
  .union([
    z.strictObject({ process: name, fd: whole(0, 65535).optional() }),
    z.strictObject({ listener: endpoint }),
    z.strictObject({ peer: endpoint }),
  ])
  .describe(
    'a process (and one of its file descriptors), a listener by its own end, a connection by the other end',
  )
export type Subject = z.output<typeof subjectSchema>

const memoryExpectation = z.strictObject({
  at: name.optional().describe('the snapshot; the last one when left out'),
  of: subjectSchema.optional(),
  that: z.string().min(1).max(2000).describe('a C expression over the memory'),
  equals: comparable.optional(),
  not: comparable.optional(),
  notes: text.optional(),
})

const textChecks = {
  contains: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  lacks: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  matches: z.string().optional().describe('a regular expression'),
  equals: z.string().optional(),
  notes: text.optional(),
} as const

const logExpectation = z.strictObject({ at: name.optional(), log: z.literal(true), ...textChecks })
const commandExpectation = z.strictObject({
  at: name.optional(),
  command: z.string().min(1).describe('a line for the crash prompt'),
  ...textChecks,
})
const outputExpectation = z.strictObject({ output: name.describe('a process: what it wrote'), ...textChecks })
const probeExpectation = z.strictObject({ probe: name.describe('a probe: what it printed'), ...textChecks })
const exitExpectation = z.strictObject({
  exit: name.describe('a process'),
  status: whole(0, 255).optional(),
  signal: whole(1, 64).optional(),
  notes: text.optional(),
})
const packetExpectation = z.strictObject({
  packet: whole(1, 1_000_000).optional().describe('number of the frame, from 1'),
  packets: whole(0, 1_000_000).optional().describe('how many frames match'),
  device: z.string().optional(),
  from: endpoint.optional(),
  to: endpoint.optional(),
  flags: z
    .string()
    .regex(/^[A-Z]{3}(\|[A-Z]{3})*$/, { error: 'expected flags such as SYN|ACK' })
    .optional(),
  seq: whole(0, 0xffffffff).optional(),
  ack: whole(0, 0xffffffff).optional(),
  window: whole(0, 65535).optional(),
  length: whole(0, 65535).optional().describe('bytes of payload'),
  notes: text.optional(),
})
const connectionExpectation = z.strictObject({
  connection: name,
  state: hostState.optional().describe('where a host’s end of it ended up'),
  received: z.string().optional(),
  notes: text.optional(),
})

/** Kinds of expectations, by the key that tells them apart. */
export const expectations = {
  that: memoryExpectation,
  log: logExpectation,
  command: commandExpectation,
  output: outputExpectation,
  probe: probeExpectation,
  exit: exitExpectation,
  packet: packetExpectation,
  packets: packetExpectation,
  connection: connectionExpectation,
} as const
export type ExpectationKind = keyof typeof expectations
export type MemoryExpectation = z.output<typeof memoryExpectation>
export type TextExpectation = z.output<typeof outputExpectation> | z.output<typeof logExpectation>
export type TextChecks = Pick<z.output<typeof outputExpectation>, 'contains' | 'lacks' | 'matches' | 'equals'>
export type PacketExpectation = z.output<typeof packetExpectation>
export type Expectation =
  | z.output<typeof memoryExpectation>
  | z.output<typeof logExpectation>
  | z.output<typeof commandExpectation>
  | z.output<typeof outputExpectation>
  | z.output<typeof probeExpectation>
  | z.output<typeof exitExpectation>
  | z.output<typeof packetExpectation>
  | z.output<typeof connectionExpectation>

/** A command whose answer the golden record keeps. */
const goldenSchema = z.strictObject({
  at: name.optional().describe('the snapshot; the last one when left out'),
  command: z.string().min(1).max(2000).describe('a line for the crash prompt'),
})
export type GoldenCommand = z.output<typeof goldenSchema>

/** Keys a step may have beside its own. */
export const stepFields = {
  at: duration.optional().describe('time since boot at which it happens; at once when left out'),
  until: symbol
    .optional()
    .describe('stop as soon as this kernel function has been called, instead of when all is quiet'),
  pins: pins.optional().describe('where objects made in this step must lie'),
  log_times: z
    .array(duration)
    .max(1000)
    .optional()
    .describe('time since boot of the next lines of the kernel log, in order: it was busy in between'),
  notes: text.optional(),
} as const

/** One section of the file each: top-level key to what it takes. */
export const sections = {
  title: z.string().max(200).describe('one line'),
  notes: text.describe('what there is to learn'),
  profile: z.string().describe('the kernel: `coredrill record --profiles` lists them'),
  cpus: whole(1, 64),
  memory: size.refine((n) => n >= 64 << 20 && n <= 64 * 2 ** 30 && n % (1 << 20) === 0, {
    error: 'expected 64M to 64G, in whole megabytes',
  }),
  seed: z.union([word, z.string().min(1).max(200)]).describe('everything random comes from it'),
  clock: clockSchema,
  exports: z
    .array(symbol)
    .max(64)
    .describe('symbols this kernel was patched to export to modules, such as sys_call_table'),
  symbols: z
    .record(symbol, address)
    .describe('where symbols of the kernel image lie, such as sys_call_table in a transcript'),
  module_addresses: z
    .record(z.string().regex(/^\w{1,55}$/), address)
    .describe('where modules lie in memory when they are loaded'),
  module_files: z
    .array(
      z.string().regex(/^(?!\/).{1,200}\.m?js$/, {
        error: 'expected the path of an .mjs file, relative to this one',
      }),
    )
    .max(16)
    .describe('modules of its own: ES module files, loaded with --allow-modules only'),
  panic_on_oops: z.boolean().describe('an oops is the end of the machine: kernel.panic_on_oops = 1'),
  hostname: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$/, { error: 'expected a host name' }),
} as const

export const listSections = {
  devices: deviceSchema,
  hosts: hostSchema,
  processes: processSchema,
  modules: moduleSchema,
  probes: probeSchema,
  golden: goldenSchema,
} as const

export { fileSchema }
export type ClockSpec = z.output<typeof clockSchema>
export type DeviceSpec = z.output<typeof deviceSchema>
export type HostSpec = z.output<typeof hostSchema>
export type FileSpec = z.output<typeof fileSchema>
export type ProcessSpec = z.output<typeof processSchema>
export type ModuleSpec = z.output<typeof moduleSchema>
