/**
 * `ps` on a real kernel's dump, from nothing: coredrill (which has the dump alone) beside genuine crash and drgn
 * (which have a vmlinux). `COREDRILL_REAL=folder COREDRILL_VMLINUX=file [COREDRILL_CRASH=crash] node bench/all.js real`
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from './measure.js'

const RUNS = Number(process.env.COREDRILL_BENCH_RUNS ?? 7)
/** crash takes seconds. */
const SLOW_RUNS = 3
const program = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const TIME = '/usr/bin/time'

const DRGN_PS = `
from drgn.helpers.linux import *
for t in sorted(for_each_task(prog), key=lambda t: t.pid.value_()):
    print(t.pid.value_(), t.parent.pid.value_(), hex(t.value_()), t.comm.string_().decode())
`

/** Why a tool cannot run; undefined when it can. */
function lacking(tool, args, needsVmlinux) {
  const { error } = spawnSync(tool, args, { stdio: 'ignore' })
  if (error) return `no ${tool}`
  const vmlinux = process.env.COREDRILL_VMLINUX
  if (needsVmlinux && (vmlinux === undefined || !existsSync(vmlinux))) return 'no COREDRILL_VMLINUX'
  return undefined
}

/**
 * The dumps: QEMU's ELF core, and makedumpfile's compressed file.
 * @returns {{ name: string, path: string }[]}
 */
export function realDumps(folder) {
  const real = process.env.COREDRILL_REAL
  if (real === undefined || !existsSync(join(real, 'dev'))) return []
  const elf = join(folder, 'elf')
  execFileSync('zstd', ['-dqf', join(real, 'dev/qemu-elf.zst'), '-o', elf])
  return [
    { name: 'ELF', path: elf },
    { name: 'kdump, zlib', path: join(real, 'dev/mdf-c31') },
  ]
}

/**
 * One run: wall milliseconds and peak resident megabytes.
 * @returns {{ ms: number, mb: number, out: string }}
 */
export function runOnce(command, args, options = {}) {
  const rss = join(options.folder, 'rss')
  const measured = existsSync(TIME)
  const words = measured ? ['-f', '%M', '-o', rss, command, ...args] : args
  const start = performance.now()
  const result = spawnSync(measured ? TIME : command, words, {
    encoding: 'utf8',
    input: options.input,
    env: { ...process.env, ...options.env },
    maxBuffer: 1 << 28,
  })
  const ms = performance.now() - start
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`)
  return {
    ms,
    mb: measured ? Number(readFileSync(rss, 'utf8').trim().split('\n').at(-1)) / 1024 : NaN,
    out: result.stdout,
  }
}

/** Everybody who can, on one dump. `tasks` tells that all did the same work. */
function contestants(path, folder, scripts) {
  const vmlinux = process.env.COREDRILL_VMLINUX ?? ''
  const crash = process.env.COREDRILL_CRASH ?? 'crash'
  const ours = (cache) => ({ env: { XDG_CACHE_HOME: cache, COREDRILL_NO_CACHE: '' }, folder })
  const words = [program, 'ps', '--core', path]
  return [
    {
      name: 'coredrill, first opening ever',
      before: () => rmSync(join(folder, 'fresh'), { recursive: true, force: true }),
      run: () => runOnce(process.execPath, words, ours(join(folder, 'fresh'))),
      tasks: /^[> ] +\d+ .*$/gm,
    },
    {
      name: 'coredrill, later',
      run: () => runOnce(process.execPath, words, ours(join(folder, 'kept'))),
      tasks: /^[> ] +\d+ .*$/gm,
    },
    {
      name: 'drgn',
      missing: lacking('drgn', ['--version'], true),
      run: () => runOnce('drgn', ['-q', '-c', path, '-s', vmlinux, scripts.drgn], { folder }),
      tasks: /0xffff/g,
    },
    {
      name: 'crash',
      runs: SLOW_RUNS,
      missing: lacking(crash, ['--version'], true),
      run: () => runOnce(crash, ['-s', vmlinux, path], { folder, input: 'set scroll off\nps\nquit\n' }),
      tasks: /^[> ] +\d+ .*$/gm,
    },
  ]
}

/**
 * All contestants in turns, so that other work on the machine meets all alike.
 * @returns {{ dump: string, bytes: number, rows: { name: string, missing?: string, ms: number, mb: number, tasks: number }[] }[]}
 */
export function realPs(parent) {
  const folder = mkdtempSync(join(parent, 'real-'))
  const scripts = { drgn: join(folder, 'ps.py') }
  writeFileSync(scripts.drgn, DRGN_PS)
  return realDumps(folder).map(({ name, path }) => {
    const all = contestants(path, folder, scripts).map((one) => ({ ...one, results: [] }))
    for (let i = 0; i < RUNS; i++)
      for (const one of all) {
        if (one.missing !== undefined || i >= (one.runs ?? RUNS)) continue
        one.before?.()
        try {
          one.results.push(one.run())
        } catch (error) {
          // drgn 0.0.22 cannot read QEMU's own ELF cores; we must be able to read all.
          if (one.name.startsWith('coredrill')) throw error
          one.missing = 'cannot read this dump'
        }
      }
    const rows = all.map(({ name: who, missing, results, tasks }) => ({
      name: who,
      missing,
      ms: missing ? NaN : median(results.map((r) => r.ms)),
      mb: missing ? NaN : Math.max(...results.map((r) => r.mb)),
      tasks: missing ? 0 : (results[0].out.match(tasks) ?? []).length,
    }))
    return { dump: name, bytes: statSync(path).size, rows }
  })
}
