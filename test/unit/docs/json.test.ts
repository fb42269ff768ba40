/** docs/json.md: made of the types the sources declare; what the commands answer has exactly those members. */

import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { beforeAll, describe, expect, test } from 'vitest'
import { CommandSet } from '../../../src/crash/command-set.ts'
import { toJsonText } from '../../../src/crash/json.ts'
import { Session } from '../../../src/crash/session.ts'
import { recordedTarget } from '../../support/recorded.ts'
import { misfits, readRowTypes, type Member, type RowTypes, type Shape } from '../../support/row-types.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const path = join(root, 'docs/json.md')
let types: RowTypes
beforeAll(() => {
  types = readRowTypes(root)
}, 120_000)

const INTRODUCTION = `# \`--json\`

Every command that inspects a dump takes \`--json\` and prints, in place of its text, the same rows as JSON: two blanks
of indentation, members in a fixed order, the same bytes on every machine. The exit status and what goes to stderr are
those of the text. This page is made of the types in the source: \`npx vitest run test/unit/docs -u\`.

- \`"0x…"\` is a string: an address, or any word that can have 64 bits, without leading zeros. Other numbers are JSON
  numbers.
- A member with \`?\` may be absent.
- Strings hold what the dump holds; JSON escapes the control characters.
- What cannot be read is left out, or has a member \`problem\` that says why; then the exit status is 1.
`

const cell = (text: string): string => text.replaceAll('|', '\\|')
const linked = (text: string): string =>
  text.replaceAll(/\{@link (\w+)\}/g, (_, name: string) =>
    types.shapes.has(name) ? `[${name}](#${name.toLowerCase()})` : `\`${name}\``,
  )

/** A shape in the column "type". */
function typeText(shape: Shape): string {
  switch (shape.kind) {
    case 'word':
      return '`"0x…"`'
    case 'bytes':
      return 'bytes as hex'
    case 'any':
      return 'any'
    case 'literal':
      return `\`${JSON.stringify(shape.value)}\``
    case 'named':
      return linked(`{@link ${shape.name}}`)
    case 'list':
      return shape.of.kind === 'union' ? `(${typeText(shape.of)})[]` : `${typeText(shape.of)}[]`
    case 'map':
      return `object of ${typeText(shape.of)}`
    case 'union':
      return shape.of.map(typeText).join(' or ')
    case 'object':
      return 'object'
    default:
      return shape.kind
  }
}

/** What a member of this name is wherever its comment does not say more. */
const USUAL: Readonly<Record<string, string>> = {
  comm: "the task's name",
  cpu: 'number of the CPU',
  dentry: '`struct dentry *`',
  fd: 'descriptor',
  file: '`struct file *`',
  inode: '`struct inode *`',
  module: 'name of the module it belongs to',
  node: 'number of the memory node',
  offset: 'in bytes',
  pid: 'process id',
  problem: 'what could not be read',
  size: 'in bytes',
  sock: '`struct sock *`',
  socket: '`struct socket *`',
  task: '`struct task_struct *`',
  tgid: 'pid of the leader of its threads',
}

/** Members with those of objects that have no name of their own below them. */
function memberLines(members: readonly Member[], before = ''): string[] {
  return members.flatMap(({ name, optional, shape, meaning }) => {
    const path = `${before}${name}`
    const line = `| \`${path}\`${optional ? '?' : ''} | ${cell(typeText(shape))} | ${cell(linked(meaning || (USUAL[name] ?? '')))} |`
    const inner = shape.kind === 'list' || shape.kind === 'map' ? shape.of : shape
    const suffix = shape.kind === 'list' ? '[]' : shape.kind === 'map' ? '.*' : ''
    return [line, ...(inner.kind === 'object' ? memberLines(inner.members, `${path}${suffix}.`) : [])]
  })
}

function typeSection(name: string): string {
  const { shape, meaning } = types.shapes.get(name) ?? { shape: { kind: 'any' }, meaning: '' }
  const says = meaning === '' ? [] : [linked(meaning).replace(/[^.:]$/, '$&.')]
  const head = [`#### ${name}`, ...says]
  if (shape.kind !== 'object')
    return [...head, ...(shape.kind === 'any' ? [] : [typeText(shape)])].join('\n\n')
  const lines = memberLines(shape.members)
  if (shape.rest !== undefined) lines.push(`| any other | ${cell(typeText(shape.rest))} | |`)
  return [...head, ['| member | type | meaning |', '| --- | --- | --- |', ...lines].join('\n')].join('\n\n')
}

/** The named types a shape leads to, itself among them, as they are come across. */
function reached(name: string, into = new Set<string>()): Set<string> {
  if (into.has(name)) return into
  into.add(name)
  const visit = (shape: Shape): void => {
    if (shape.kind === 'named') reached(shape.name, into)
    else if (shape.kind === 'list' || shape.kind === 'map') visit(shape.of)
    else if (shape.kind === 'union') shape.of.forEach(visit)
    else if (shape.kind === 'object') {
      for (const member of shape.members) visit(member.shape)
      if (shape.rest !== undefined) visit(shape.rest)
    }
  }
  const type = types.shapes.get(name)
  if (type !== undefined) visit(type.shape)
  return into
}

function page(): string {
  const users = new Map<string, Set<string>>()
  const commands = [...types.variants].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [command, variants] of commands) {
    for (const name of variants.flatMap((variant) => variant.types).flatMap((type) => [...reached(type)]))
      users.set(name, (users.get(name) ?? new Set()).add(command))
  }
  const sections = commands.map(([command, variants]) => {
    const own = [...users].filter(([, by]) => by.size === 1 && by.has(command)).map(([name]) => name)
    const rows = variants.map(({ text }) => `- ${linked(text).replace(/\beach\b/g, 'each, in a list')}`)
    return [`### ${command}`, rows.join('\n'), ...own.map(typeSection)].join('\n\n')
  })
  const shared = [...users].filter(([, by]) => by.size > 1).map(([name]) => name)
  return [
    INTRODUCTION,
    '## Commands',
    ...sections,
    '## Types of several commands',
    ...shared.sort().map(typeSection),
  ].join('\n\n')
}

test('the page is current (if not: npx vitest run test/unit/docs -u)', async () => {
  const config = await resolveConfig(path)
  await expect(await format(page(), { ...config, parser: 'markdown' })).toMatchFileSnapshot(path)
}, 60_000)

test('every command that inspects a dump says what its rows are', async () => {
  const names = (await new CommandSet(join(root, 'commands')).all()).map(([name]) => name)
  expect(names.filter((name) => !types.variants.has(name))).toEqual([])
})

test('an undocumented, a missing and a wrong member are found', () => {
  const at = { kind: 'named', name: 'ConvertedRow' } as const
  expect(misfits({ given: '0x1', result: '0x2' }, at, types)).toEqual([])
  expect(misfits({ given: '0x1', result: '0x2', more: 1 }, at, types)).toEqual(['row.more: not documented'])
  expect(misfits({ given: '0x1' }, at, types)).toEqual(['row.result: missing'])
  expect(misfits({ given: 1, result: '0x2' }, at, types)).toEqual(['row.given: no "0x…": 1'])
})

/** Command lines, the type of what they answer, and `[]` where that is a list of it. */
const ANSWERS: readonly (readonly [line: string, type: string])[] = [
  ['bt -a', 'TraceRow[]'],
  ['bt -f 1', 'TraceRow[]'],
  ['bt -T 1', 'TraceRow[]'],
  ['bt -e 1', 'TaskFramesRow[]'],
  ['bt -E', 'CpuFramesRow[]'],
  ['bt -v', 'OverflowRow[]'],
  ['bt -O', 'BtDefaultRow'],
  ['btop 512a000', 'ConvertedRow[]'],
  ['ptob 512a', 'ConvertedRow[]'],
  ['ptov 1000', 'PtovRow[]'],
  ['check --all', 'CheckEntry[]'],
  ['dev', 'MajorsJson'],
  ['dev -d', 'DiskRow[]'],
  ['dev -p', 'PciBus[]'],
  ['dev -i', 'ResourcesJson'],
  ['diff syn-received --most 3', 'ObjectChange[]'],
  ['explain', 'Explanation[]'],
  ['explain --task ncat', 'Explanation[]'],
  ['explain --all', 'TcpRow[]'],
  ['files 1', 'TaskFiles[]'],
  ['files -c 1', 'TaskFiles[]'],
  ['foreach user files', 'ForeachRow[]'],
  ['foreach user set', 'ContextRow[]'],
  ['info', 'InfoRow'],
  ['info steps', 'StepRow[]'],
  ['info programs', 'ProgramRow[]'],
  ['info probes', 'ProbeRow[]'],
  ['info packets', 'PacketRow[]'],
  ['kmem -f', 'FreeAreaRow[]'],
  ['kmem -g', 'PageFlagRow[]'],
  ['kmem -g 4081', 'PageFlagsRow[]'],
  ['kmem -h', 'HugeRow[]'],
  ['kmem -i', 'MemoryUseRow[]'],
  ['kmem -m flags', 'PageMembersRow[]'],
  ['kmem -n', 'NodesJson'],
  ['kmem -o', 'PerCpuOffsetRow[]'],
  ['kmem -p', 'PageRow[]'],
  ['kmem -s', 'CacheRow[]'],
  ['kmem -S TCP', 'CacheJson[]'],
  ['kmem -v', 'VmapRow[]'],
  ['kmem -V', 'StatisticRow[]'],
  ['kmem -z', 'ZoneRow[]'],
  ['list -H modules -o module.list -s module.name', 'ListRow[]'],
  ['log', 'LogJson[]'],
  ['log -a', 'AuditJson[]'],
  ['mod', 'ModuleJson[]'],
  ['mount', 'MountJson[]'],
  ['net', 'DeviceJson[]'],
  ['net -a', 'NeighbourJson[]'],
  ['net --all', 'InetSocketJson[]'],
  ['net -N 6538a8c0', 'DottedQuadRow'],
  ['p jiffies', 'ValueRow[]'],
  ['p runqueues:0', 'ValueRow[]'],
  ['p runqueues', 'ValueRow[]'],
  ['ps', 'PsRow[]'],
  ['ps -p', 'PsAncestorsRow[]'],
  ['ps -c', 'PsChildrenRow[]'],
  ['ps -g', 'PsThreadsRow[]'],
  ['ps -t', 'PsTimesRow[]'],
  ['ps -l', 'PsLastRunRow[]'],
  ['ps -m', 'PsLastRunRow[]'],
  ['ps -r', 'PsLimitsRow[]'],
  ['ps -a', 'PsArgumentsRow[]'],
  ['pte 8000000001a5d067', 'PteRow[]'],
  ['pte 0', 'PteRow[]'],
  ['rd linux_banner 2', 'MemoryRow[]'],
  ['rd -S init_task 8', 'MemoryRow[]'],
  ['rd -a linux_banner', 'AsciiRow[]'],
  ['runq', 'RunqRow[]'],
  ['runq -g', 'RunqRow[]'],
  ['runq -t', 'RunqClockRow[]'],
  ['runq -m', 'RunqClockRow[]'],
  ['runq -T', 'RunqLagRow[]'],
  ['search -t ffffffff81000000', 'SearchRow[]'],
  ['search -c Linux', 'SearchRow[]'],
  ['set', 'ContextRow'],
  ['sig 1', 'SigRow[]'],
  ['sig -g 1', 'SigRow[]'],
  ['sig -l', 'SignalRow[]'],
  ['struct sock', 'StructRow[]'],
  ['struct task_struct.pid,comm init_task', 'StructRow[]'],
  ['union sigval', 'StructRow[]'],
  ['sym tcp_v4_rcv', 'SymbolRow[]'],
  ['sym -M', 'SymbolRow[]'],
  ['sys', 'SysRow'],
  ['sys -c', 'SystemCallRow[]'],
  ['sys -c --owners', 'CheckEntry[]'],
  ['sys -t', 'TaintsRow'],
  ['task 1', 'TaskRow[]'],
  ['task -R pid,nothing 1', 'TaskRow[]'],
  ['tree -t rbtree vmap_area_root -o vmap_area.rb_node -s vmap_area.va_start', 'TreeRow[]'],
  ['tree -t xarray (&init_pid_ns.idr.idr_rt) -p', 'TreeRow[]'],
  ['vm 1', 'VmJson[]'],
  ['vm -p 1', 'VmJson[]'],
  ['vm -v 1', 'VmJson[]'],
  ['vm -m 1', 'VmJson[]'],
  ['vtop ffffffff81000000', 'VtopJson[]'],
  ['vtop 0', 'VtopJson[]'],
  ['whatis sock', 'WhatisRow[]'],
  ['whatis -r 1024', 'WhatisRow[]'],
  ['whatis zone_type', 'WhatisRow[]'],
  ['whatis tcp_v4_rcv', 'WhatisRow[]'],
  ['why jiffies', 'WhyRow[]'],
]

/** Types of answers that this dump cannot have, or that are written to files. */
const ELSEWHERE = ['DeviceDumpRow', 'RawRow', 'CacheFolderRow', 'VerdictRow', 'TrimRow']

describe('what the commands answer on a recorded dump has the documented members', () => {
  const seen = new Set<string>()

  async function check(line: string, type: string, scenario = 'lsm-recvmsg'): Promise<unknown> {
    const [name = '', ...words] = line.split(' ')
    const set = new CommandSet(join(root, 'commands'))
    const session = new Session(recordedTarget(scenario), set)
    const report = await session.report(name, words, () => undefined)
    if (typeof report.text !== 'string') for (const _ of report.text) continue
    const rows: unknown = JSON.parse(toJsonText(report.rows))
    const named: Shape = { kind: 'named', name: type.replace('[]', '') }
    expect(types.shapes.has(named.name), named.name).toBe(true)
    expect(misfits(rows, type.endsWith('[]') ? { kind: 'list', of: named } : named, types)).toEqual([])
    expect(types.variants.get(name)?.flatMap((variant) => variant.types)).toContain(named.name)
    seen.add(named.name)
    return rows
  }

  test.each(ANSWERS)('%s: %s', async (line, type) => {
    await check(line, type)
  })

  test('what needs an address or a task of the dump', async () => {
    const tasks = (await check('ps ncat', 'PsRow[]')) as { pid: number }[]
    const pid = String(tasks[0]?.pid)
    await check(`net -s ${pid}`, 'TaskSockets[]')
    await check(`vtop -c ${pid} 400000`, 'VtopJson[]')
    const [task] = (await check(`files ${pid}`, 'TaskFiles[]')) as {
      files: { file: string; dentry: string; inode: string }[]
    }[]
    const file = task?.files.at(-1)
    const bare = (address: string | undefined): string => address?.slice(2) ?? ''
    await check(`files -d ${bare(file?.dentry)}`, 'DentryJson')
    await check(`files -p ${bare(file?.inode)}`, 'InodePagesJson')
    await check(`kmem ${bare(file?.file)}`, 'KmemAddress[]')
    await check(`kmem -s ${bare(file?.file)}`, 'SlabAddressRow[]')
    await check(`why ${bare(file?.file)} --size 8`, 'WhyRow[]')
  })

  test('why a kernel crashed', async () => {
    await check('explain --oops', 'OopsExplanation', 'stacked-hooks-oops')
  })

  test('every type the commands name was looked at', () => {
    const named = [...types.variants.values()].flat().flatMap((variant) => variant.types)
    expect([...new Set(named)].filter((name) => !seen.has(name) && !ELSEWHERE.includes(name))).toEqual([])
  })
})
