/** The lines of a stack trace. */

import { hex, hexFull, toAddr, type Va } from '../base/addr.ts'
import type { FrameEvent, TraceEvent } from '../helpers/backtrace.ts'
import { user_mode, type Registers } from '../helpers/registers.ts'
import type { SymbolHit } from '../symbols/symbol.ts'
import type { TraceEventRow } from './rows.ts'

export interface TraceStyle {
  readonly wordSize: 4 | 8
  /** `bt -s`: names with offsets, in this radix */
  readonly offsets: 10 | 16 | undefined
  /** the session's radix, for the symbol of an exception */
  readonly radix: 10 | 16
  /** `bt -t`: one line a text address, without numbers */
  readonly textOnly: boolean
  /** how `bt -f` and `-F` show a word of a frame */
  readonly word: (value: bigint) => string
}

/** One event's lines. */
export function eventText(event: TraceEvent, style: TraceStyle): string {
  switch (event.kind) {
    case 'frame':
      return frameText(event, style)
    case 'registers': {
      const { regs, symbol } = event
      // of i386 crash names no function there
      const named = style.wordSize === 8 && (event.at === undefined || !user_mode(regs))
      const ripOf = named ? exceptionText(symbol, style) : ''
      return ripOf + registersText(regs, style.wordSize)
    }
    case 'stack':
      return `--- <${event.name}> ---\n`
    case 'start':
      return `              START: ${event.symbol?.name ?? ''} at ${hexOf(event.text)}\n`
    case 'problem':
      return `${event.text}\n`
  }
}

function frameText({ level, rsp, text, symbol, words }: FrameEvent, style: TraceStyle): string {
  const name = style.offsets === undefined ? symbol.name : withOffset(symbol, style.offsets)
  const module = symbol.module === undefined ? '' : ` [${symbol.module}]`
  if (style.textOnly)
    return `  [${hexOf(rsp).padStart(style.wordSize * 2)}] ${name} at ${hexOf(text)}${module}\n`
  const number = `${level < 10 ? ' ' : ''}#${level}`
  const line = `${number} [${hexOf(rsp).padStart(8)}] ${name} at ${hexOf(text)}${module}\n`
  return words === undefined ? line : wordsText(words, style) + line
}

/** `bt -f`: two words a line. */
function wordsText({ from, to, stack }: NonNullable<FrameEvent['words']>, style: TraceStyle): string {
  const step = style.wordSize
  const perLine = step === 8 ? 2 : 4
  let text = ''
  for (let at = from, i = 0; at <= to; at += step, i++) {
    if (i % perLine === 0) text += `${i === 0 ? '' : '\n'}    ${hexOf(at)}: `
    text += `${style.word(stack.word(at))} `
  }
  return `${text}\n`
}

/** `name+offset`, decimal or hexadecimal. */
export function withOffset({ name, offset }: SymbolHit, radix: 10 | 16): string {
  if (offset === 0) return name
  return radix === 16 ? `${name}+0x${offset.toString(16)}` : `${name}+${offset}`
}

function exceptionText(symbol: SymbolHit | undefined, style: TraceStyle): string {
  const where = symbol === undefined ? 'unknown or invalid address' : withOffset(symbol, style.radix)
  return `    [exception RIP: ${where}]\n`
}

/** Registers as crash lays them out. */
export function registersText(regs: Registers, wordSize: 4 | 8): string {
  return wordSize === 8 ? registers64(regs) : registers32(regs)
}

function registers64(r: Registers): string {
  const full = (n: bigint): string => hexFull(n)
  const short = (n: bigint): string => hex(n).padStart(4, '0')
  const orig = r.orig_rax === undefined ? '' : `ORIG_RAX: ${full(r.orig_rax)}  `
  return (
    `    RIP: ${full(r.rip)}  RSP: ${full(r.rsp)}  RFLAGS: ${hex(r.rflags).padStart(8, '0')}\n` +
    `    RAX: ${full(r.rax)}  RBX: ${full(r.rbx)}  RCX: ${full(r.rcx)}\n` +
    `    RDX: ${full(r.rdx)}  RSI: ${full(r.rsi)}  RDI: ${full(r.rdi)}\n` +
    `    RBP: ${full(r.rbp)}   R8: ${full(r.r8)}   R9: ${full(r.r9)}\n` +
    `    R10: ${full(r.r10)}  R11: ${full(r.r11)}  R12: ${full(r.r12)}\n` +
    `    R13: ${full(r.r13)}  R14: ${full(r.r14)}  R15: ${full(r.r15)}\n` +
    `    ${orig}CS: ${short(r.cs)}  SS: ${short(r.ss)}\n`
  )
}

function registers32(r: Registers): string {
  const full = (n: bigint): string => hexFull(n, 4)
  const short = (n: bigint): string => hex(n & 0xffffn).padStart(4, '0')
  const user = user_mode(r)
  const base = user ? '' : ` EBP: ${full(r.rbp)}`
  const gs = r.gs === undefined ? '' : `  GS:  ${short(r.gs)}`
  const stack = user ? `    SS:  ${short(r.ss)}      ESP: ${full(r.rsp)}  EBP: ${full(r.rbp)}${gs}\n` : ''
  return (
    `    EAX: ${full(r.rax)}  EBX: ${full(r.rbx)}  ECX: ${full(r.rcx)}  EDX: ${full(r.rdx)} ${base}\n` +
    `    DS:  ${short(r.ds ?? 0n)}      ESI: ${full(r.rsi)}  ES:  ${short(r.es ?? 0n)}      EDI: ${full(r.rdi)}${user ? '' : gs}\n${stack}` +
    `    CS:  ${short(r.cs)}      EIP: ${full(r.rip)}  ERR: ${full(r.orig_rax ?? 0n)}  EFLAGS: ${full(r.rflags)}\n`
  )
}

const hexOf = (va: Va): string => (Number.isNaN(va) ? '0' : hex(va))

/** One event as `bt --json` has it; a frame's words only with `-f`. */
export function eventRow(event: TraceEvent): TraceEventRow {
  switch (event.kind) {
    case 'frame': {
      const { level, rsp, text, symbol, words } = event
      const stack = words === undefined ? {} : { words: [...wordsOf(words)] }
      const module = symbol.module === undefined ? {} : { module: symbol.module }
      return {
        level,
        rsp: toAddr(rsp),
        text: toAddr(text),
        symbol: symbol.name,
        offset: symbol.offset,
        ...module,
        ...stack,
      }
    }
    case 'registers': {
      const { regs, at, symbol } = event
      const where = at === undefined ? {} : { at: toAddr(at) }
      const named = symbol === undefined ? {} : { symbol: symbol.name, offset: symbol.offset }
      return { mode: user_mode(regs) ? 'user' : 'kernel', ...where, ...named, registers: regs }
    }
    case 'stack':
      return { left_stack: event.name }
    case 'start':
      return { start: toAddr(event.text), symbol: event.symbol?.name ?? null }
    case 'problem':
      return { problem: event.text }
  }
}

function* wordsOf({ from, to, stack }: NonNullable<FrameEvent['words']>): Generator<bigint> {
  for (let at = from; at <= to; at += stack.wordSize) yield stack.word(at)
}
