/** What a recorded dump knows beyond its memory: the scenario, its steps, programs, probes and packets. */

import { DumpError, UsageError } from '../base/errors.ts'
import { frame_text, pcap_frames } from '../helpers/packet.ts'
import type { Target } from '../target/target.ts'
import type { Report } from './dump-command.ts'
import type { InfoRow, PacketRow, ProbeRow, ProgramRow, SnapshotRow, StepRow } from './rows.ts'

interface Step {
  readonly name: string
  readonly summary: string
  readonly atNs: number
}
interface Frame {
  readonly number: number
  readonly atNs: number
  readonly device: string
  readonly direction: string
}

/** The parts `info` can be asked for, and what it answers. */
const PARTS: Readonly<Record<string, (target: Target) => Report>> = {
  steps: stepsReport,
  programs: programsReport,
  probes: probesReport,
  packets: packetsReport,
  scenario: (target) => {
    const text = Buffer.from(target.section('scenario') ?? []).toString('utf8')
    return { rows: text, text }
  },
}
export const infoParts = Object.keys(PARTS)

/** @throws UsageError for a part there is none of; DumpError when this dump was not recorded, or is damaged */
export function infoReport(target: Target, part: string | undefined): Report {
  if (part === undefined) return overview(target)
  const report = Object.hasOwn(PARTS, part) ? PARTS[part] : undefined
  if (report === undefined) throw new UsageError(part, `no part ${part}: there are ${infoParts.join(', ')}`)
  if (target.section('steps') === undefined) {
    throw new DumpError('BAD_FORMAT', target.path, -1, 'no history in it: it was not recorded by coredrill')
  }
  return report(target)
}

/** A section that is a JSON list. */
function list<T>(target: Target, name: string): readonly T[] {
  const bytes = target.section(name)
  if (bytes === undefined) return []
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (Array.isArray(parsed)) return parsed as T[]
  } catch {
    // said below
  }
  throw new DumpError('BAD_FORMAT', target.path, -1, `the section ${name} is damaged`)
}

const seconds = (ns: number | bigint): string => (Number(ns) / 1e9).toFixed(6)

function overview(target: Target): Report {
  const snapshots = target.snapshots.map(({ name, step, timeNs }): SnapshotRow => ({
    name,
    step,
    time: seconds(timeNs),
  }))
  const rows: InfoRow = {
    file: target.path,
    release: target.vmcoreinfo.get('OSRELEASE') ?? '',
    snapshots,
    steps: list(target, 'steps').length,
    programs: list(target, 'programs').length,
    probes: list(target, 'traces').length,
    packets: list(target, 'frames').length,
  }
  const borrowed = Buffer.from(target.section('layout') ?? []).toString('latin1')
  const lines = [
    `     FILE: ${rows.file}`,
    `  RELEASE: ${rows.release}`,
    ...(borrowed === '' ? [] : [`   LAYOUT: structures and symbols are those of ${borrowed}`]),
    `    STEPS: ${rows.steps}`,
    ` PROGRAMS: ${rows.programs}`,
    `   PROBES: ${rows.probes}`,
    `  PACKETS: ${rows.packets}`,
    `SNAPSHOTS: ${snapshots.length === 0 ? '(none)' : ''}`,
    ...snapshots.map(({ name, step, time }) => `  ${name.padEnd(20)} step ${String(step).padEnd(4)} ${time}`),
  ]
  return { rows, text: `${lines.join('\n').replaceAll(/ +$/gm, '')}\n` }
}

function stepsReport(target: Target): Report {
  const rows = list<Step>(target, 'steps').map(({ name, summary, atNs }, step): StepRow => ({
    step,
    time: seconds(atNs),
    name,
    summary,
  }))
  const text = rows
    .map((r) => `${String(r.step).padStart(4)} ${r.time.padStart(15)}  ${r.summary}\n`)
    .join('')
  return { rows, text }
}

function programsReport(target: Target): Report {
  const rows = list<ProgramRow>(target, 'programs')
  const ended = ({ exit }: ProgramRow): string =>
    exit === null
      ? 'running'
      : exit.signal > 0
        ? `killed by signal ${exit.signal}`
        : `exit status ${exit.status}`
  const quoted = (title: string, text: string): string =>
    text === '' ? '' : `  ${title}:\n${text.trimEnd().replaceAll(/^/gm, '    ')}\n`
  const text = rows
    .map(
      (p) =>
        `${p.pid} ${p.name}: ${p.argv.join(' ')}: ${ended(p)}\n${quoted('stdout', p.stdout)}${quoted('stderr', p.stderr)}`,
    )
    .join('')
  return { rows, text }
}

function probesReport(target: Target): Report {
  const rows = list<ProbeRow>(target, 'traces')
  return { rows, text: rows.map(({ lines }) => `${lines.join('\n')}\n`).join('') }
}

function packetsReport(target: Target): Report {
  const frames = [...pcap_frames(target.section('packets') ?? new Uint8Array(0))]
  const rows = list<Frame>(target, 'frames').map(({ number, atNs, device, direction }, i): PacketRow => ({
    number,
    time: seconds(atNs),
    device,
    direction,
    text: frame_text(frames[i]?.bytes ?? new Uint8Array(0)),
  }))
  const text = rows
    .map(
      (r) =>
        `${String(r.number).padStart(5)} ${r.time.padStart(15)} ${r.device} ${r.direction.padEnd(4)} ${r.text}\n`,
    )
    .join('')
  return { rows, text }
}
