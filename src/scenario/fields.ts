/** The kinds of values a scenario has: addresses, durations, sizes, hosts' ends, bytes. Each says what it wants. */

import { z } from 'zod'

/** A whole number that fits a JavaScript number. */
export const whole = (least: number, most: number) =>
  z
    .bigint()
    .refine((v) => v >= BigInt(least) && v <= BigInt(most), { error: `expected ${least} to ${most}` })
    .transform(Number)
    .meta({ minimum: least, maximum: most })

export const port = whole(1, 65535)
export const pid = whole(1, 4_194_303)
export const uid = whole(0, 0xfffffffe)

const U64_MAX = 0xffff_ffff_ffff_ffffn

/** Any 64-bit value: signed or unsigned. */
export const word = z
  .bigint()
  .refine((v) => v >= -(1n << 63n) && v <= U64_MAX, { error: 'expected at most 64 bits' })

/** An address: `0xffff888007a4e040`, or its 16 digits as crash prints them. */
export const address = z
  .union([z.bigint(), z.string()])
  .transform((v, ctx) => {
    if (typeof v === 'bigint' && v >= 0n && v <= U64_MAX) return v
    if (typeof v === 'string' && /^(0x[0-9a-f]{1,16}|[0-9a-f]{16})$/i.test(v)) {
      return BigInt(v.startsWith('0x') ? v : `0x${v}`)
    }
    ctx.addIssue({ code: 'custom', message: 'expected an address such as 0xffff888007a4e040' })
    return z.NEVER
  })
  .meta({ description: 'an address: 0x… or 16 hexadecimal digits' })

const NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  min: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
}

const DURATION = /^(\d{1,15})(?:\.(\d{1,9}))?\s*(ns|us|µs|ms|s|min|h|d)$/

/** `1.5s`, `20ms`, `189346.050282s` → nanoseconds, exactly. */
export const duration = z
  .string()
  .transform((text, ctx) => {
    const found = DURATION.exec(text)
    if (found !== null) {
      const [, integer = '0', fraction = '', unit = 's'] = found
      const scale = NS[unit] ?? 1n
      const ns = BigInt(integer) * scale + (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length)
      if (ns <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(ns)
    }
    ctx.addIssue({ code: 'custom', message: 'expected a duration such as 20ms or 1.5s' })
    return z.NEVER
  })
  .meta({ pattern: DURATION.source, description: 'a duration: 20ms, 1.5s' })

/** `64M`, `2G`, `4652K`, or a number of bytes → bytes. */
export const size = z
  .union([z.bigint(), z.string()])
  .transform((v, ctx) => {
    const found = /^(\d{1,12})([KMG]?)(?:i?B)?$/.exec(String(v))
    if (found !== null)
      return Number(found[1]) * { '': 1, K: 1024, M: 1 << 20, G: 1 << 30 }[found[2] as '' | 'K']
    ctx.addIssue({ code: 'custom', message: 'expected a size such as 64M' })
    return z.NEVER
  })
  .meta({ description: 'a size: 64M, 2G, 4652K, or bytes' })

const QUAD = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)'
const IPV4 = `${QUAD}(?:\\.${QUAD}){3}`

/** A dotted quad. */
export const ipv4 = z
  .string()
  .regex(new RegExp(`^${IPV4}$`), { error: 'expected an IPv4 address such as 192.168.56.1' })

/** `192.168.56.1/24` */
export const network = z
  .string()
  .regex(new RegExp(`^${IPV4}/(3[012]|[12]?\\d)$`), {
    error: 'expected an address with its prefix such as 192.168.56.1/24',
  })
  .transform((text) => {
    const [ip = '', prefix = ''] = text.split('/')
    return { ip, prefix: Number(prefix) }
  })

/** `192.168.56.1:31337` */
export const endpoint = z
  .string()
  .regex(new RegExp(`^${IPV4}:\\d{1,5}$`), {
    error: 'expected an address and port such as 192.168.56.1:31337',
  })
  .transform((text, ctx) => {
    const [ip = '', number = ''] = text.split(':')
    const at = Number(number)
    if (at >= 1 && at <= 65535) return { ip, port: at }
    ctx.addIssue({ code: 'custom', message: 'expected a port of 1 to 65535' })
    return z.NEVER
  })
export type Endpoint = z.output<typeof endpoint>

/** `08:00:27:4e:66:a1`; the first byte even, as a card's own address is. */
export const mac = z
  .string()
  .regex(/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/, {
    error: 'expected a hardware address such as 08:00:27:4e:66:a1',
  })
  .refine((text) => (parseInt(text.slice(0, 2), 16) & 1) === 0, { error: 'a group address is no card’s own' })

export const macBytes = (text: string): Uint8Array =>
  Uint8Array.from(text.split(':'), (byte) => parseInt(byte, 16))

/** A name other parts of the scenario use. */
export const name = z
  .string()
  .regex(/^[A-Za-z_][\w.-]{0,62}$/, { error: 'expected a name: letters, digits, _ . -' })

/** A kernel function. */
export const symbol = z
  .string()
  .regex(/^[A-Za-z_]\w{0,127}$/, { error: 'expected the name of a kernel function' })

/** An absolute path, without `.` and `..`. */
export const path = z
  .string()
  .max(4095)
  .refine((p) => p.startsWith('/') && !/\/\.{1,2}(\/|$)|\0/.test(p), { error: 'expected an absolute path' })

const DATA_MAX = 1 << 20

/** Bytes: a string as UTF-8, `{hex: "0a ff"}`, or `{text: "x", times: 1000}`. */
export const data = z
  .union([
    z.string(),
    z.strictObject({
      hex: z.string().regex(/^\s*([0-9A-Fa-f]{2}\s*)*$/, { error: 'expected pairs of hex digits' }),
    }),
    z.strictObject({ text: z.string(), times: whole(0, DATA_MAX) }),
  ])
  .transform((given, ctx) => {
    if (typeof given === 'string') return new Uint8Array(Buffer.from(given))
    if ('hex' in given) return new Uint8Array(Buffer.from(given.hex.replaceAll(/\s/g, ''), 'hex'))
    const bytes = Buffer.from(given.text)
    if (bytes.length * given.times <= DATA_MAX)
      return new Uint8Array(Buffer.alloc(bytes.length * given.times, bytes))
    ctx.addIssue({ code: 'custom', message: 'expected at most 1 MiB' })
    return z.NEVER
  })

/** Where a remote host's end of a connection can be. */
export const hostState = z.enum([
  'closed',
  'refused',
  'reset',
  'timed-out',
  'syn-sent',
  'syn-received',
  'established',
  'fin-wait-1',
  'fin-wait-2',
  'closing',
  'time-wait',
  'close-wait',
  'last-ack',
])
