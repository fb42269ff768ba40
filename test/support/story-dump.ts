/**
 * A dump with a story of four stores: a SYN arrives in a buffer, its source address goes into a request_sock and from
 * there into the child; everything by hand on a booted machine, so that each store is known.
 */

import { toAddr, toVa, type Va } from '../../src/base/addr.ts'
import { from } from '../../src/btf/ref.ts'
import type { Kernel } from '../../src/linux/kernel.ts'
import { kmem_cache_create, findCache } from '../../src/linux/mm/slab_common.ts'
import { kmem_cache_alloc } from '../../src/linux/mm/slub.ts'
import { kmalloc } from '../../src/linux/mm/slab.ts'
import { Sourced, SourceKind } from '../../src/memory/memory.ts'
import { writeCdump } from '../../src/vmcore/cdump/write.ts'
import { bootedMachine } from './machine.ts'

/** A SYN from 192.168.56.101:40000 to 192.168.56.1:9999. */
export const SYN = Uint8Array.from(
  Buffer.from(
    [
      '0a0000000001 0a0000000065 0800',
      '4500 0028 0001 4000 40 06 0000 c0a83865 c0a83801',
      '9c40 270f 00000001 00000000 50 02 ffff 0000 0000',
    ]
      .join('')
      .replaceAll(' ', ''),
    'hex',
  ),
)

/** A classic capture file of these frames. */
export function pcapOf(frames: readonly Uint8Array[]): Uint8Array {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt32LE(65535, 16)
  header.writeUInt32LE(1, 20)
  const records = frames.flatMap((frame) => {
    const head = Buffer.alloc(16)
    head.writeUInt32LE(frame.length, 8)
    head.writeUInt32LE(frame.length, 12)
    return [head, Buffer.from(frame)]
  })
  return Buffer.concat([header, ...records])
}

export interface Story {
  readonly child: Va
  readonly req: Va
  readonly buffer: Va
}

const SITES = ['', 'e1000_clean_rx_irq', 'tcp_v4_init_req', 'inet_csk_clone_lock', 'inet_bind']

/** Write the dump; snapshots `syn` (step 1) and `child` (step 2). */
export function writeStory(path: string, omit: readonly string[] = []): Story {
  const k = bootedMachine()
  const boot = k.mem.takeDelta()
  const at = (step: number, site: number): void => {
    k.mem.journal.step = step
    k.mem.journal.site = site
  }
  const object = (cache: string, type: string): Va =>
    kmem_cache_alloc(k, findCache(k, cache) ?? kmem_cache_create(k, cache, k.types.sizeof(type)))
  const [buffer, req, child] = [
    kmalloc(k, 512),
    object('request_sock_TCP', 'tcp_request_sock'),
    object('TCP', 'tcp_sock'),
  ]
  at(1, 1)
  k.mem.write(buffer, SYN, SourceKind.Packet, 65536)
  at(1, 2)
  const request = k.types.ref('inet_request_sock', k.mem, req)
  const header = k.types.ref('iphdr', k.mem, buffer + 14)
  request.$set('req.__req_common.skc_daddr', from(header, 'saddr'))
  const syn = k.mem.takeDelta()
  at(2, 3)
  const sk = k.types.ref('sock', k.mem, child)
  sk.$set('__sk_common.skc_daddr', from(request.req.__req_common, 'skc_daddr'))
  sk.$set('__sk_common.skc_state', 1)
  at(2, 4)
  sk.$set('__sk_common.skc_num', new Sourced(9999, SourceKind.Syscall, 1))
  writeDump(path, k, [boot, syn, k.mem.takeDelta()], omit)
  return { child, req, buffer }
}

function writeDump(
  path: string,
  k: Kernel,
  deltas: readonly { readonly pages: ReadonlyMap<number, Uint8Array> }[],
  omit: readonly string[],
): void {
  const text = (lines: unknown): Uint8Array => Buffer.from(JSON.stringify(lines))
  const steps = ['boot', 'connect', 'established'].map((name) => ({ name, summary: `summary of ${name}` }))
  const sections = new Map<string, Uint8Array>([
    ['journal', k.mem.journal.serialize()],
    ['functions', text(SITES.map((name) => ({ name, file: name === '' ? '' : `net/${name}.c` })))],
    ['steps', text(steps)],
    ['packets', pcapOf([SYN])],
    ['frames', text([{ number: 1, atNs: 1000, device: 'eth0', direction: 'in', length: SYN.length }])],
  ])
  for (const name of omit) sections.delete(name)
  const info = k.mem.read(k.mem.pointer(toVa(k.sym('vmcoreinfo_data'))), 4096)
  writeCdump(path, {
    header: {
      profile: k.profile.name,
      release: k.profile.release,
      machine: 'x86_64',
      wordSize: 8,
      memorySize: k.mem.sizeBytes,
      createdBy: 'test',
      seed: 1,
      scenarioName: 'story',
    },
    vmcoreinfo: Buffer.from(info.subarray(0, info.indexOf(0))).toString('latin1'),
    snapshots: deltas.map(({ pages }, i) => ({
      name: ['boot', 'syn', 'child'][i] ?? '',
      step: i,
      timeNs: BigInt(i),
      parent: i === 0 ? null : i - 1,
      pages,
    })),
    sections,
  })
}

/** An address as crash's commands take it. */
export const word = (va: Va): string => toAddr(va).toString(16)
