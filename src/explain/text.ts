/** An explanation as text: short paragraphs and tables with the address of every value. */

import { hex } from '../base/addr.ts'
import type { Explanation, Field, Step } from './facts.ts'

/** Rows padded to columns, two blanks between them. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length))) ?? []
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
}

/** Fold a sentence at `width` columns; continuation lines are indented. */
function fold(text: string, indent: string, width = 100): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > width && line.trim() !== '') {
      lines.push(line)
      line = `${' '.repeat(indent.length)}${word}`
    } else line += line.trim() === '' || line.endsWith(' ') ? word : ` ${word}`
  }
  return [...lines, line]
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines]
}

export function explanationText(e: Explanation): string {
  const who = e.task === undefined ? '' : `PID ${e.task.pid} "${e.task.comm}" fd ${e.fd ?? '?'}: `
  const lines = [
    `${who}${e.headline}`,
    ...(e.sk === 0n ? [] : [`  sock ${hex(e.sk)}${e.state === '' ? '' : `  state ${e.state}`}`]),
    ...section('The way to it', e.steps.flatMap(stepLines)),
    ...section('Which member holds which end', fieldTable(e.fields)),
    ...section(
      'How that is known',
      e.evidence.flatMap(({ fact, at }) => fold(at === 0n ? fact : `${fact} (${hex(at)})`, '  - ')),
    ),
    ...section(
      'What a hook here should compare',
      e.advice.flatMap((line) => fold(line, '  - ')),
    ),
    ...section(
      'Where it comes from',
      e.birth.flatMap(({ title, text }) => fold(`${title}: ${text}`, '  - ')),
    ),
    ...section('Waiting at this listener', waitingTable(e)),
    ...section('Who may refuse recvmsg() on it', hookLines(e)),
    ...section('Refused', refusalLines(e)),
    ...section(
      'Could not be read',
      e.damage.flatMap((line) => fold(line, '  - ')),
    ),
  ]
  return `${lines.join('\n')}\n`
}

function stepLines(step: Step): string[] {
  const left = `${step.struct} ${hex(step.address)}`
  return [`  ${left}  ${step.member} @ ${hex(step.at)} = ${hex(step.value)}`, ...fold(step.rule, '      ')]
}

const SIDES = { local: 'this machine', foreign: 'foreign', none: '-' } as const

function fieldTable(fields: readonly Field[]): string[] {
  if (fields.length === 0) return []
  const rows = fields.map((f) => [f.member, hex(f.at), f.bytes, f.order, f.value, SIDES[f.side], f.alias])
  return columns([['MEMBER', 'ADDRESS', 'BYTES', 'ORDER', 'VALUE', 'WHOSE', 'ALSO CALLED'], ...rows])
}

function waitingTable(e: Explanation): string[] {
  if (e.waiting.length === 0) return []
  const rows = e.waiting.map((w) => [w.kind, w.remote, hex(w.req), w.child === 0n ? '-' : hex(w.child)])
  return columns([['STATE', 'FROM', 'REQUEST_SOCK', 'CHILD'], ...rows])
}

function hookLines(e: Explanation): string[] {
  const rows = e.hooks.map((h, i) => [String(i + 1), h.function, h.module, h.lsm, hex(h.at)])
  const table =
    rows.length === 0 ? [] : columns([['#', 'FUNCTION', 'MODULE', 'LSM', 'SECURITY_HOOK_LIST'], ...rows])
  if (e.queue === undefined || e.queue.buffers === 0) return table
  const { bytes, buffers, at } = e.queue
  const text = `receive queue: ${bytes} bytes in ${buffers} buffer${buffers === 1 ? '' : 's'} not read (${hex(at)})`
  return [...table, `  ${text}`]
}

function refusalLines(e: Explanation): string[] {
  return e.refusals.flatMap((r) =>
    fold(
      `step ${r.step}: ${r.function} of ${r.module} returned ${r.result} (${r.errno}) from ${r.hook}; the call ended there, no later hook and no protocol code ran, the data stays in the receive queue, acknowledged`,
      '  - ',
    ),
  )
}
