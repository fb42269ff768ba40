/**
 * The published networking exercises (netfilter hooks, sockets in the kernel), statement by statement: what the dumps of
 * their scenarios answer, from memory, log, terminal and captured frames.
 *
 * Out of scope, because they are about something else than the kernel: generating and building the skeletons (make skels,
 * build, copy, boot), LABS=…, `make menuconfig`, how netcat's versions differ. Of S004-4 and S004-7 the part about what
 * the document's text and comments say is in the notes of the scenarios.
 */

import { describe, expect, test } from 'vitest'
import { NF_INET_LOCAL_OUT } from '../../src/abi/netfilter.ts'
import { htons, ntohs } from '../../src/base/u32.ts'
import { rowsOf } from '../../src/explain/history.ts'
import { framesOf } from '../../src/explain/packets.ts'
import { for_each_file } from '../../src/helpers/fs.ts'
import { SOCK_INODE } from '../../src/helpers/sock.ts'
import { for_each_module } from '../../src/helpers/module.ts'
import { lhash2_for_each } from '../../src/helpers/tcp.ts'
import type { net, nf_hook_ops, sk_buff, sock } from '../../src/btf/vmlinux.ts'
import { kzalloc } from '../../src/linux/mm/slab.ts'
import { init_net } from '../../src/linux/net/core/net_namespace.ts'
import { nf_register_net_hook } from '../../src/linux/net/netfilter/core.ts'
import type { Target } from '../../src/target/target.ts'
import { crash, programRow, recordedTarget, recordedText, segmentsOf, taskOf } from '../support/recorded.ts'
import { runSteps } from '../support/scenario.ts'
import { tcpMachine } from '../support/tcp-machine.ts'

/** What each line typed at a shell showed. */
const shown = (target: Target): string[] =>
  rowsOf<{ output?: string }>(target, 'steps').flatMap(({ output }) => (output === undefined ? [] : [output]))

const logLines = async (target: Target, part: string): Promise<string[]> =>
  (await crash(target, 'log')).split('\n').filter((line) => line.includes(part))

const SHELL = `processes:
  - { name: shell, pid: 500, argv: [-bash], cwd: /root, tty: /dev/pts/0 }
  - { name: other, pid: 501, argv: [-bash], cwd: /root, tty: /dev/pts/1 }
`

/** The one listener of a dump. */
function listenerOf(target: Target): sock {
  const [sk] = [...lhash2_for_each(target)]
  if (sk === undefined) throw new Error('no listener')
  return sk as sock
}

/** The sock behind the module's `new_sock`. */
function acceptedSock({ symbols, types, mem }: Target): sock {
  const { sk } = types.ref('socket', mem, mem.pointer(symbols.va('new_sock')))
  if (sk === null) throw new Error('new_sock has no sock')
  return sk
}

describe('netfilter', () => {
  const initiated = recordedTarget('nf-initiated')

  test('S004-1: one line for an outbound connection, and what the script shows', async () => {
    const [line = '', ...more] = await logLines(initiated, 'TCP connection initiated')
    expect(line).toMatch(/^\[ {2}\d+\.\d{6}\] TCP connection initiated from 127\.0\.0\.1:\d+$/)
    expect(more).toEqual([])
    expect(shown(initiated)[1]).toBe('Should show up in filter.\nCheck dmesg output.\n')
  })

  test('S004-2: SYN-ACK, ACK, data and FIN pass LOCAL_OUT too and say nothing; a repeated SYN says it again', async () => {
    const flags = segmentsOf(initiated).map((segment) => segment.split(' ')[3])
    expect(flags.filter((name) => name === 'SYN')).toHaveLength(1)
    expect(flags.length).toBeGreaterThan(5)
    // POST_ROUTING comes after LOCAL_OUT: the SYN is seen, dropped, and sent again after 1, 3 and 7 seconds
    const dropped = recordedText(`${SHELL}steps:
  - shell: { process: shell, line: insmod filter.ko && insmod nf_verdict.ko hook=4 proto=6, status: 0 }
  - shell: { process: shell, line: nc 127.0.0.1 60000, background: true }
  - wait: 10s
  - snapshot: end
`)
    expect(await logLines(dropped, 'TCP connection initiated')).toHaveLength(4)
  })

  const address = recordedTarget('nf-filter-address')

  test('S004-3: the ioctl narrows the hook to one destination; wrong commands and pointers are refused', async () => {
    expect(await logLines(address, 'TCP connection initiated')).toHaveLength(1)
    expect(shown(address)).toContain('Should show up in filter.\nShould NOT show up in filter.\nCheck dmesg output.\n')
    // -ENOTTY and -EFAULT are expectations of the scenario's own steps
    expect([...for_each_file(taskOf(address.at('opened'), 640))]).toHaveLength(1)
  })

  test('S004-4: both connections go to 127.0.0.1, only the filter changes', () => {
    const syns = segmentsOf(address).filter((segment) => segment.endsWith(' SYN'))
    expect(syns).toHaveLength(2)
    const destinations = framesOf(address).map((frame) => [...frame.subarray(30, 34)].join('.'))
    expect(new Set(destinations)).toEqual(new Set(['127.0.0.1']))
  })

  test('S004-14: the priorities of this kernel begin with one that the document lacks', () => {
    expect(initiated.types.enumerator('NF_IP_PRI_RAW_BEFORE_DEFRAG')).toBe(-450n)
    expect(initiated.types.enumerator('NF_IP_PRI_CONNTRACK_DEFRAG')).toBe(-400n)
  })

  test('S004-15: a drop in LOCAL_OUT fails sendto(), not connect(), which retransmits and gives up', () => {
    const dropped = recordedTarget('nf-drop-output')
    expect(programRow(dropped, 'client').stderr).toContain('Connection timed out')
    // nothing was on the wire but the datagram that LOCAL_IN dropped
    expect(framesOf(dropped)).toHaveLength(1)
  })

  test('S004-16: tcp_hdr() works in PRE_ROUTING on a packet from outside', () => {
    const offsets: number[] = []
    runSteps(
      `  - insmod: { name: verdict, module: nf_verdict, params: { hook: 0, verdict: 1 }, parent: shell }
  - connect: { host: a, to: 10.0.0.1:80 }
`,
      ({ k }) => {
        k.watch('nf_verdict_hook', {
          entered: (_info, [, skb]) => {
            const { transport_header, network_header } = skb as sk_buff
            offsets.push(transport_header - network_header)
          },
          returned: () => undefined,
        })
      },
    )
    expect(offsets.length).toBeGreaterThan(0)
    expect(new Set(offsets)).toEqual(new Set([20]))
  })

  test('S004-17: nf_hook_ops has 56 bytes, a list head for its removal first, and its type behind pf', () => {
    const { types } = initiated
    const at = (member: string): number => types.offsetof('nf_hook_ops', member)
    expect(types.sizeof('nf_hook_ops')).toBe(56)
    expect([at('hook'), at('dev'), at('priv'), at('pf')]).toEqual([16, 24, 32, 40])
    expect([at('hooknum'), at('priority')]).toEqual([44, 48])
    expect(types.has('nf_hook_ops', 'hook_ops_type')).toBe(true)
    expect([types.offsetof('nf_hook_state', 'hook'), types.offsetof('nf_hook_state', 'pf')]).toEqual([0, 1])
  })

  test('S004-18: connect() takes even ports first', async () => {
    const many = recordedText(`${SHELL}steps:
  - shell: { process: shell, line: insmod filter.ko, status: 0 }
${'  - shell: { process: shell, line: nc -z 127.0.0.1 60000 }\n'.repeat(8)}  - snapshot: end
`)
    const ports = (await logLines(many, 'initiated')).map((line) => Number(line.split(':').at(-1)))
    expect(ports).toHaveLength(8)
    expect(ports.filter((port) => port % 2 === 1)).toEqual([])
  })

  test('S004-19: the same nf_hook_ops registered twice are two entries', () => {
    const k = tcpMachine()
    const reg: nf_hook_ops = k.ref('nf_hook_ops', kzalloc(k, k.types.sizeof('nf_hook_ops')))
    reg.pf = 2
    reg.hooknum = NF_INET_LOCAL_OUT
    const net: net = init_net(k)
    expect([nf_register_net_hook(k, net, reg), nf_register_net_hook(k, net, reg)]).toEqual([0, 0])
    expect(k.mem.u16(k.mem.pointer(net.nf.hooks_ipv4.$vaAt(NF_INET_LOCAL_OUT)))).toBe(2)
  })
})

describe('kernel sockets', () => {
  const listen = recordedTarget('tcp-sock-listen')

  test('S004-5: the module listens on 127.0.0.1:60000; nobody has a descriptor; EEXIST, EADDRINUSE', async () => {
    const sk = listenerOf(listen.at('listening'))
    expect([sk.__sk_common.skc_num, sk.__sk_common.skc_state, sk.sk_max_ack_backlog]).toEqual([60000, 10, 5])
    expect([sk.sk_kern_sock, sk.__sk_common.skc_net_refcnt]).toEqual([1, 0])
    expect(sk.sk_socket?.file).toBeNull()
    expect(shown(listen)).toContain('insmod: ERROR: could not insert module tcp_sock.ko: File exists\n')
    expect(shown(listen)).toContain('insmod: ERROR: could not insert module tcp_sock.ko: Address already in use\n')
    expect(shown(listen)[1]).toMatch(/^tcp +0 +0 127\.0\.0\.1:60000 +0\.0\.0\.0:\* +LISTEN *$/m)
    expect(await logLines(listen, "can't bind socket")).toHaveLength(1)
    expect([...lhash2_for_each(listen.at('unloaded'))]).toEqual([])
  })

  const accept = recordedTarget('tcp-sock-accept')
  const waiting = accept.at('waiting')
  const accepted = accept.at('accepted')

  test('S004-6: insmod sleeps in accept(), the module Loading and in use; then the peer is named', async () => {
    const [mod] = [...for_each_module(waiting)]
    expect([Number(mod?.$int('state')), Number(mod?.$int('refcnt.counter')) > 0]).toEqual([1, true])
    expect(await crash(waiting, 'bt 650')).toContain('inet_csk_accept')
    expect(await logLines(accepted, 'connection established to 127.0.0.1:60001')).toHaveLength(1)
  })

  test('S004-7: something special is displayed: the peer, as an alert', async () => {
    expect(await crash(accepted, 'log -m')).toContain('<1>connection established to 127.0.0.1:60001')
  })

  test('S004-8: the accepted socket has its sock from accept(), its operations from the module, and no file', () => {
    const { sk_socket } = acceptedSock(accepted)
    expect([sk_socket?.state, sk_socket?.file]).toEqual([3, null])
    expect(accepted.symbolize(sk_socket?.$int('ops') ?? 0n)?.name).toBe('inet_stream_ops')
    expect(SOCK_INODE(sk_socket as NonNullable<typeof sk_socket>).$int('i_ino')).toBeGreaterThan(0n)
  })

  test('S004-9: the peer’s name is inet_dport and inet_daddr, in network order', () => {
    const { __sk_common } = acceptedSock(accepted)
    expect(ntohs(__sk_common.skc_dport)).toBe(60001)
    expect([...__sk_common.$mem.read(__sk_common.$va, 4)]).toEqual([127, 0, 0, 1])
  })

  test('S004-10: udp_sock: the shell’s trace to the letter, and fourteen bytes on the wire', () => {
    const udp = recordedTarget('udp-sock')
    expect(shown(udp)[0]).toBe(
      '+ pid=1059\n+ sleep 1\n+ nc -l -u -p 60001\n+ insmod udp_sock.ko\nkernelsocket\n+ rmmod udp_sock\n+ kill 1059\n',
    )
    const [frame = new Uint8Array()] = framesOf(udp)
    const view = new DataView(frame.buffer, frame.byteOffset)
    expect([view.getUint16(16), view.getUint16(34), view.getUint16(36), view.getUint16(38)]).toEqual([
      42, 60000, 60001, 22,
    ])
    expect(Buffer.from(frame.subarray(42)).toString()).toBe('kernelsocket\n\0')
  })
})

describe('structures', () => {
  const target = recordedTarget('nf-initiated')
  const offsets = (struct: string, members: readonly string[]): number[] =>
    members.map((member) => target.types.offsetof(struct, member))

  test('S004-11: struct socket of this kernel: the wait queue embedded, ops before it', () => {
    expect(offsets('socket', ['state', 'type', 'flags', 'file', 'sk', 'ops', 'wq'])).toEqual([
      0, 4, 8, 0x10, 0x18, 0x20, 0x40,
    ])
    expect(target.types.sizeof('socket')).toBe(128)
  })

  test('S004-12: struct sk_buff: the list first, headers as offsets from head', () => {
    expect(offsets('sk_buff', ['next', 'prev', 'dev'])).toEqual([0, 8, 0x10])
    expect(target.types.offsetof('sk_buff', 'dev_scratch')).toBe(0x10)
    expect(offsets('sk_buff', ['protocol', 'transport_header', 'network_header', 'mac_header'])).toEqual([
      0xb4, 0xb6, 0xb8, 0xba,
    ])
    expect(offsets('sk_buff', ['tail', 'end', 'head', 'data', 'truesize', 'users'])).toEqual([
      0xbc, 0xc0, 0xc8, 0xd0, 0xd8, 0xdc,
    ])
  })

  test('S004-13: version and ihl share a byte, doff and flags two, as bit-fields of a little-endian machine', () => {
    const [frame = new Uint8Array()] = framesOf(target)
    expect(frame[14]).toBe(0x45)
    const view = new DataView(frame.buffer, frame.byteOffset)
    const [doff, flags] = [view.getUint8(46) >> 4, view.getUint8(47)]
    expect([doff, flags]).toEqual([10, 0x02])
    const bits = (struct: string, member: string): number | undefined =>
      target.types.struct(struct).members.find(({ name }) => name === member)?.bitOffset
    expect([bits('iphdr', 'ihl'), bits('iphdr', 'version')]).toEqual([0, 4])
    expect([bits('tcphdr', 'res1'), bits('tcphdr', 'doff'), bits('tcphdr', 'fin')]).toEqual([96, 100, 104])
    expect(htons(0x4500)).toBe(0x45)
  })
})
