import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { toVa } from '../../../src/base/addr.ts'
import { openTargetSync, type Target } from '../../../src/target/target.ts'
import { bootedMachine } from '../../support/machine.ts'
import { findProfile } from '../../../src/linux/profile.ts'
import { elfImage, vmcoreinfoNote } from '../../support/dump-images.ts'
import { crash, programRow, recordedText, segmentsOf, socketAt } from '../../support/recorded.ts'

const story = (profile: string): string => `
profile: ${profile}
memory: 512M
processes:
  - { name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0, cpu: 0 }
  - { name: shell2, pid: 501, argv: [-bash], cwd: /root, tty: /dev/pts/1, cpu: 1 }
modules:
  - { name: recvmsg_block, params: { deny: 192.168.56.101 } }
steps:
  - run: { name: server, pid: 510, parent: shell, argv: [ncat, -l, 127.0.0.1, '31337'], cpu: 0 }
  - run: { name: client, pid: 520, parent: shell2, argv: [ncat, 127.0.0.1, '31337'], cpu: 1 }
  - snapshot: connected
  - type: { process: client, data: "hello over loopback\\n" }
  - close_stdin: client
  - snapshot: closed
`

describe.each(['linux-3.13-i386', 'linux-2.6.24-i386'])('a connection over lo on %s', (profile) => {
  const at = (snapshot: string): Target => recordedText(story(profile), snapshot)

  test('the handshake, the data and the close go over the wire, and both programs end well', () => {
    const target = at('closed')
    expect(
      segmentsOf(target)
        .slice(0, 4)
        .map((line) => line.replace(/^\d+ > \d+ /, '')),
    ).toEqual(['SYN', 'SYN|ACK', 'ACK', 'PSH|ACK 20'])
    expect(programRow(target, 'server').stdout).toContain('hello over loopback')
  })

  test('both ends are ESTABLISHED, each the mirror of the other', () => {
    const [server, client] = [socketAt(at('connected'), 510, 4), socketAt(at('connected'), 520, 3)]
    for (const { sk } of [server, client]) expect(sk.$int('__sk_common.skc_state')).toBe(1n)
    expect(server.sk.$int('__sk_common.skc_num')).toBe(31337n)
    expect(client.sk.$int('__sk_common.skc_dport')).toBe(0x697an)
    expect(server.sk.$va).toBeGreaterThan(0xc000_0000)
  })

  test('sys says i686', async () => {
    expect(await crash(at('connected'), 'sys')).toMatch(/^ {5}MACHINE: i686 {2}\(/m)
  })

  test('info says whose structures these are', async () => {
    expect(await crash(at('connected'), 'info')).toContain(
      'structures and symbols are those of linux-6.1.176-i386',
    )
  })

  test('bt of the idle tasks begins where the processors do', async () => {
    const boot = await crash(at('connected'), 'bt -c 0')
    expect(boot).toMatch(/ start_kernel at [0-9a-f]{8}\n #\d+ \[[0-9a-f]{8}\] startup_32_smp at c1000/)
    const other = await crash(at('connected'), 'bt -c 1')
    expect(other).toMatch(/ start_secondary at [0-9a-f]{8}\n #\d+ \[[0-9a-f]{8}\] startup_32_smp at c1000/)
  })

  test('ps, files and net have addresses of eight digits', async () => {
    expect(await crash(at('connected'), 'ps ncat')).toMatch(/^ +510 +500 +0 {2}[c-f][0-9a-f]{7} {2}IN /m)
    const files = await crash(at('connected'), 'files 510')
    expect(files).toMatch(/^ {2}4 {2}[0-9a-f]{8} {2}[0-9a-f]{8} {2}[0-9a-f]{8} {2}SOCK {2}TCP/m)
    const net = await crash(at('connected'), 'net -s 510')
    expect(net).toMatch(
      /^ 4 {2}[0-9a-f]{8} {2}[0-9a-f]{8} {2}INET:STREAM +127\.0\.0\.1-31337 +127\.0\.0\.1-\d+ *$/m,
    )
  })

  test('bt unwinds from __schedule to the way in, with the program’s registers', async () => {
    const text = await crash(at('connected'), 'bt 510')
    const names = [...text.matchAll(/^ ?#\d+ \[[0-9a-f]{8}\] (\w+) at [0-9a-f]{8}$/gm)].map(
      ([, name]) => name,
    )
    expect(names[0]).toBe('__schedule')
    expect(names.at(-2)).toMatch(/^sys_p?select6?$|^sys_pselect6$/)
    expect(names.at(-1)).toBe('system_call')
    expect(text).toMatch(/^ {4}CS: {2}0073 {6}EIP: 08[0-9a-f]{6} /m)
  })

  test('struct -o, sym, rd and list read four-byte pointers', async () => {
    const target = at('connected')
    expect(await crash(target, 'struct -o list_head')).toContain('  [4] struct list_head *prev;')
    const table = target.sym('sys_call_table').toString(16)
    expect(await crash(target, 'sym sys_call_table')).toContain(`${table} (`)
    const entry = target.sym('sys_socketcall').toString(16)
    expect(await crash(target, `rd ${(target.sym('sys_call_table') + 408n).toString(16)}`)).toContain(
      `:  ${entry} `,
    )
    const tasks = await crash(target, 'list task_struct.tasks -s task_struct.pid -h init_task')
    expect(tasks).toMatch(/^[c-f][0-9a-f]{7}\n {2}pid = 510,$/m)
  })

  test('slabs: the free lists of a cache are followed, an address is found in it', async () => {
    const target = at('connected')
    const { sk } = socketAt(target, 510, 4)
    const rows = await crash(target, 'kmem -s TCP')
    expect(rows).toMatch(/^[c-f][0-9a-f]{7} +1768 +[2-9] +\d+ +\d+ +\d+k {2}TCP$/m)
    const own = await crash(target, `kmem ${sk.$addr.toString(16)}`)
    expect(own).toContain(`[${sk.$addr.toString(16)}]`)
    expect(own).not.toContain('phys_startup_32')
  })

  test('memory, zones and areas: kmem -i, -z, -v', async () => {
    const target = at('connected')
    expect(await crash(target, 'kmem -i')).toMatch(/^ *TOTAL MEM +131072 +512 MB/m)
    expect(await crash(target, 'kmem -z')).toContain('NAME: "HighMem"')
    expect(await crash(target, 'kmem -v')).toMatch(
      /^[c-f][0-9a-f]{7} {2}[c-f][0-9a-f]{7} {2}e0[89a-f][0-9a-f]{5} - e0/m,
    )
  })

  test('sys -c names the handlers of the time', async () => {
    const text = await crash(at('connected'), 'sys -c')
    expect(text).toMatch(/^ {2}2 {2}sys_fork$/m)
    expect(text).toMatch(/^102 {2}sys_socketcall$/m)
  })

  test('vtop of kernel and user addresses', async () => {
    const target = at('connected')
    expect(await crash(target, 'vtop c1000000')).toMatch(/^c1000000 {2}1000000 *$/m)
    const user = await crash(target, 'vtop -c 510 8048000')
    expect(user).toContain('VIRTUAL')
  })

  test('mod, log and sym know a module', async () => {
    const target = at('connected')
    expect(await crash(target, 'mod')).toMatch(/^[e-f][0-9a-f]{7} {2}recvmsg_block +[e-f][0-9a-f]{7} /m)
    const hook = target.symbols.find('block_socket_recvmsg') ?? target.symbols.find('cleanup_module')
    expect(hook?.va).toBeGreaterThan(0xe080_0000)
    expect(await crash(target, 'log')).toContain('Linux version ')
  })

  test('explain leads from the descriptor to the sock', async () => {
    const text = await crash(at('connected'), 'explain --task 510')
    expect(text).toContain('state ESTABLISHED')
    expect(text).toContain('tcp_v4_syn_recv_sock (net/ipv4/tcp_ipv4.c) stored the peer')
  })
})

test('timers go on when the 32 bits of jiffies wrap, five minutes after the boot', () => {
  const target = recordedText(`
profile: linux-3.13-i386
clock: { uptime: 299s }
devices: [{ name: eth0, mac: 08:00:27:4e:66:a1, address: 192.168.56.1/24 }]
hosts: [{ name: mute, address: 192.168.56.101, silent: true }]
processes: [{ name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0 }]
steps:
  - run: { name: client, pid: 510, parent: shell, argv: [ncat, 192.168.56.101, '80'] }
    until: tcp_connect
  - wait: 8s
  - snapshot: retransmitting
`)
  const { sk } = socketAt(target, 510, 3)
  expect(target.mem.u32(target.symVa('jiffies'))).toBeLessThan(8 * 250)
  expect(sk.$cast('inet_connection_sock').$int('icsk_retransmits')).toBe(3n)
})

describe.each([
  ['linux-3.13-i386', 4],
  ['linux-3.13-i386', 8],
  ['linux-2.6.24-i386', 4],
] as const)('an ELF vmcore of %s, class of %i-byte words', (name, wordSize) => {
  const profile = findProfile(name)
  if (profile === undefined) throw new Error('no such profile')
  const k = bootedMachine({ profile })
  const folder = mkdtempSync(join(tmpdir(), 'coredrill-i386-'))
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  const text = Buffer.from(k.mem.read(k.mem.pointer(toVa(k.sym('vmcoreinfo_data'), 4)), 4096)).toString(
    'latin1',
  )
  const bytes = Buffer.concat(
    Array.from({ length: k.mem.sizeBytes / 4096 }, (_, pfn) => k.mem.page(pfn) as Uint8Array),
  )
  const path = join(folder, 'vmcore')
  const notes = vmcoreinfoNote(text.replace(/\0.*$/s, ''))
  writeFileSync(path, elfImage([{ paddr: 0, bytes }], { wordSize, machine: 3, notes }))

  test('it opens, and has the tasks of the machine', async () => {
    const target = openTargetSync(path)
    expect(target.wordSize).toBe(4)
    expect(target.space.mode).toBe(profile.pae ? 'i386-pae' : 'i386')
    expect(await crash(target, 'ps 1')).toMatch(/^ +1 +0 +0 {2}[c-f][0-9a-f]{7} /m)
    target.close()
  })
})
