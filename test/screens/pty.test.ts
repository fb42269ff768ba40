/** The browser in a real terminal (tmux): the walk to daddr, time, search, sizes, commands, and how it leaves the terminal. */

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readScenario } from '../../src/scenario/record-file.ts'
import { recordScenario } from '../../src/scenario/recorder.ts'
import { writeCdump } from '../../src/vmcore/cdump/write.ts'
import { dumpPath, hasReal } from '../real/dumps.ts'
import { withoutAddresses } from '../support/browser.ts'
import { hasTmux, Tmux } from '../support/tmux.ts'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'

const root = fileURLToPath(new URL('../../', import.meta.url))
const program = `${process.execPath} ${join(root, 'bin/run.js')}`
const isBuilt = existsSync(join(root, 'dist/src/tui/app.js'))
const canRun = hasTmux && isBuilt
const trimmed = join(root, 'dumps/real/debian-6.1-dev.kdump')
const WAIT = 120_000
/** The shell waits: what is typed now is for it. */
const PROMPT = /\$ *$/

let folder = ''
let dump = ''
beforeAll(() => {
  if (!canRun) return
  folder = mkdtempSync(join(tmpdir(), 'coredrill-screens-'))
  dump = join(folder, 'lsm-recvmsg.cdump')
  const scenario = readScenario(join(root, 'scenarios/lsm-recvmsg.yaml'))
  writeCdump(dump, recordScenario(scenario, { name: 'lsm-recvmsg', createdBy: 'test' }).dump)
})
afterAll(() => {
  if (folder !== '') rmSync(folder, { recursive: true, force: true })
})

let tmux: Tmux
afterEach(() => {
  if (canRun) tmux.close()
})

const golden = async (screen: string, name: string): Promise<void> => {
  await expect(`${withoutAddresses(screen)}\n`).toMatchFileSnapshot(join(root, `test/screens/${name}.txt`))
}

const LONG = { timeout: WAIT }
const title = 'the browser in a terminal (needs tmux and the build)'

describe.skipIf(!canRun)(`${title}: a recorded dump`, LONG, () => {
  beforeEach(() => {
    tmux = new Tmux(80, 24)
  })

  test('ncat, its descriptor, socket, sk, daddr; back to syn-received; search; sizes; a command; out', async () => {
    const before = await tmux.modes()
    tmux.line(`${program} browse ${dump} --at blocked`)
    await golden(await tmux.until('swapper/0: a thread'), 'tasks-80x24')
    tmux.keys('/')
    tmux.keys('"ncat', 'Enter')
    await tmux.until('ncat: a process')
    tmux.keys('Enter', 'End')
    await tmux.until('192.168.56.101:51000 is the foreign end')
    tmux.keys('Enter', '/', '"private', 'Enter')
    await tmux.until('void *private_data of struct file')
    tmux.keys('Enter')
    await tmux.until('file → socket: struct socket')
    tmux.keys('/', 's', 'k', 'Enter', 'Enter')
    await tmux.until('file → socket → sk: struct sock')
    tmux.keys('/', '"skc_daddr', 'Enter')
    const sock = await tmux.until('192.168.56.101: the foreign end')
    expect(sock).toMatch(/skc_daddr = 1698212032 \(192\.168\.56\.101\)/)
    expect(sock).toMatch(/c0 a8 38 65/)
    await golden(sock, 'sock-80x24')
    // the selected member's bytes, and only they, are highlighted
    expect(tmux.screen(true)).toMatch(/\x1b\[47mc0 a8 38 65\x1b\[/) // eslint-disable-line no-control-regex

    tmux.keys('<', '<', '<')
    const then = await tmux.until('[syn-received]')
    expect(then).toMatch(/changed since estab/)
    tmux.keys('2')
    await tmux.until('NEW_SYN_RECV')
    tmux.keys('Down')
    tmux.resize(120, 40)
    await golden(await tmux.until('half-open request'), 'syn-received-120x40')

    tmux.keys('g')
    tmux.keys('"tcp_hashinfo')
    await golden(await tmux.until('symbol tcp_hashinfo'), 'search-120x40')
    tmux.keys('Enter')
    await tmux.until('tcp_hashinfo: struct inet_hashinfo')
    tmux.resize(80, 24)
    await golden(await tmux.until('tcp_hashinfo: struct inet_hashinfo'), 'goto-80x24')

    tmux.keys(':')
    tmux.keys('"ps', 'Space', '-', 'p', 'Space', '"700', 'Enter')
    await golden(await tmux.until('Output of: ps -p 700'), 'command-80x24')
    tmux.keys('?')
    await golden(await tmux.until('Help:'), 'help-80x24')
    tmux.keys('q', 'q')
    await tmux.until(PROMPT)
    expect(await tmux.modes()).toBe(before)
  })

  test('a terminal too small says so, and is no hindrance to leaving', async () => {
    const before = await tmux.modes()
    tmux.resize(60, 20)
    tmux.line(`${program} browse ${dump}`)
    await tmux.until('The browser needs 80x24; this terminal has 60x20.')
    tmux.resize(80, 24)
    await tmux.until('Open files')
    tmux.resize(60, 20)
    await tmux.until('The browser needs 80x24')
    tmux.keys('q')
    await tmux.until(PROMPT)
    expect(await tmux.modes()).toBe(before)
  })

  test.each(['TERM', 'HUP', 'INT', 'QUIT'])('SIG%s gives the terminal back', async (signal) => {
    const before = await tmux.modes()
    tmux.line(`${program} browse ${dump} & echo $! > ${folder}/pid; fg`)
    await tmux.until('Open files')
    process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), `SIG${signal}` as NodeJS.Signals)
    await tmux.until(PROMPT)
    tmux.line('echo status $?')
    const number = { TERM: 143, HUP: 129, INT: 130, QUIT: 131 }[signal]
    const screen = await tmux.until(`status ${number}`)
    expect(screen).not.toContain('Open files')
    expect(await tmux.modes()).toBe(before)
  })

  test('Ctrl-Z leads to the shell as it was, fg back', async () => {
    const before = await tmux.modes()
    tmux.line(`${program} browse ${dump}`)
    await tmux.until('Open files')
    tmux.keys('C-z')
    await tmux.until('Stopped')
    expect(await tmux.modes()).toBe(before)
    tmux.line('fg')
    await tmux.until('Open files')
    tmux.keys('Down')
    await tmux.until('swapper/1: a thread')
    tmux.keys('q')
    await tmux.until(/told 2[\s\S]*\$ *$/)
    expect(await tmux.modes()).toBe(before)
  })

  test('an error nobody caught gives the terminal back, then tells itself', async () => {
    const before = await tmux.modes()
    const app = join(root, 'dist/src/tui')
    const script = join(folder, 'error.mjs')
    writeFileSync(
      script,
      `import { Terminal } from '${app}/widgets.js'
import { themes } from '${app}/theme.js'
const events = { key() {}, mouse() {}, redraw() {}, ended: (status, error) => (console.log(String(error)), process.exit(status)) }
const terminal = new Terminal({ theme: themes.dark, ascii: false, mouse: true, events })
terminal.draw([[{ text: 'about to fail', style: 'plain' }]])
setTimeout(() => { throw new Error('nobody caught this') }, 1500)
`,
    )
    tmux.line(`clear; ${process.execPath} ${script}; echo status $?`)
    await tmux.until('about to fail')
    const screen = await tmux.until('status 1')
    expect(screen).toContain('Error: nobody caught this')
    expect(screen).not.toContain('about to fail')
    expect(await tmux.modes()).toBe(before)
  })

  test('a failing dump leaves one line and the terminal as it was', async () => {
    const before = await tmux.modes()
    tmux.line(`clear; ${program} browse /nonexistent/vmcore`)
    await tmux.until(/^browse: .*ENOENT|browse: .*nonexistent/m)
    expect(await tmux.modes()).toBe(before)
  })
})

describe.skipIf(!canRun)(`${title}: a terminal of ASCII only`, LONG, () => {
  beforeEach(() => {
    tmux = new Tmux(80, 24, ['LC_ALL=C', 'NO_COLOR=1'])
  })

  test('draws with ASCII alone and without colour', async () => {
    tmux.line(`${program} browse ${dump} --at accepted`)
    const screen = await tmux.until('swapper/0: a thread')
    expect(screen).toMatch(/^[\x20-\x7e\n]*$/)
    await golden(screen, 'ascii-80x24')
    // eslint-disable-next-line no-control-regex
    expect(tmux.screen(true)).not.toMatch(/\x1b\[[\d;]*(3[0-7]|4[0-7]|9\d)m/)
    tmux.keys('q')
    await tmux.until(PROMPT)
  })
})

const real = [
  ['the small real dump', existsSync(trimmed), () => trimmed],
  ['a real vmcore (COREDRILL_REAL)', hasReal, () => dumpPath('dev')],
] as const

describe.skipIf(!canRun)(`${title}: real kernels`, LONG, () => {
  beforeEach(() => {
    tmux = new Tmux(120, 40)
  })

  test.skipIf(!real.some(([, exists]) => exists)).each(real.filter(([, exists]) => exists))(
    '%s: ncat to daddr, and out',
    async (_, __, path) => {
      const before = await tmux.modes()
      tmux.line(`${program} browse ${path()}`)
      await tmux.until('Open files')
      tmux.keys('g')
      tmux.keys('"133', 'Enter')
      await tmux.until('ncat: a process')
      tmux.keys('Enter')
      tmux.keys('/')
      tmux.keys('"192.168.56.101', 'Enter', 'Enter', '/', '"private', 'Enter')
      await tmux.until('void *private_data of struct file')
      tmux.keys('Enter', '/', 's', 'k', 'Enter', 'Enter')
      await tmux.until('file → socket → sk: struct sock')
      tmux.keys('/', '"skc_daddr', 'Enter')
      const screen = await tmux.until('the foreign end')
      expect(screen).toMatch(/skc_daddr = 1698212032 \(192\.168\.56\.101\)/)
      tmux.keys('3')
      await tmux.until(/ Log \d+ /)
      tmux.keys('q')
      await tmux.until(PROMPT)
      expect(await tmux.modes()).toBe(before)
    },
  )
})
