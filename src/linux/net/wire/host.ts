/**
 * A host on the other side of the wire: it answers ARP, opens and accepts TCP connections, and refuses what nobody
 * listens for. It has no memory of ours: what it knows is what frames told it.
 */

import { Random } from '../../../base/random.ts'
import { TCPHDR_ACK, TCPHDR_RST, TCPHDR_SYN } from '../../../abi/tcp.ts'
import type { Kernel } from '../../kernel.ts'
import { HostConnection, type ConnectOptions } from './host-tcp.ts'
import {
  ARP_REPLY,
  ARP_REQUEST,
  buildArp,
  buildTcp,
  ipNumber,
  ipText,
  parseArp,
  parseTcp,
  segmentLength,
  type Segment,
  type TcpFrame,
} from './segments.ts'
import { wire, type Station } from './wire.ts'

const NO_MAC = new Uint8Array(6)
/** The range Linux takes ports of its own from; connect() takes the even ones. */
const EPHEMERAL_LOW = 32768
const EPHEMERAL_COUNT = 28232
const WINDOW_SCALE = 7

export interface HostConfig {
  readonly name: string
  /** dotted quad */
  readonly address: string
  readonly mac: Uint8Array
  /** name of the card on whose segment it is */
  readonly device: string
  /** time it takes to answer, nanoseconds */
  readonly delayNs: number
  /** dotted quad of the router it is reached through; its frames then have the router's hardware address */
  readonly router?: string | undefined
  /** takes frames and never says anything, not even to ARP */
  readonly silent: boolean
  /** shift of the windows it announces: Linux offers 7 unless memory is short; 7 when left out */
  readonly windowScale?: number | undefined
  readonly seed: bigint | number | string
}

export class Host implements Station {
  readonly k: Kernel
  readonly name: string
  readonly mac: Uint8Array
  readonly ip: number
  readonly random: Random
  readonly connections: HostConnection[] = []
  /** Ports it accepts connections on. */
  readonly listening = new Set<number>()
  /** Segments that came for no connection and no listener. */
  readonly strays: TcpFrame[] = []
  /** Added to every timestamp, as Linux does for each pair of hosts. */
  readonly timestampOffset: number
  readonly windowScale: number
  /** The address that ARP finds here: its own, or its router's. */
  private readonly linkIp: number
  private readonly config: HostConfig
  private readonly neighbours = new Map<number, Uint8Array>()
  private readonly waiting: { readonly ip: number; readonly send: () => void }[] = []

  constructor(k: Kernel, config: HostConfig) {
    this.k = k
    this.config = config
    this.name = config.name
    this.mac = config.mac
    this.ip = ipNumber(config.address)
    this.linkIp = ipNumber(config.router ?? config.address)
    this.random = new Random(`${String(config.seed)}/${config.name}/${config.address}`)
    this.timestampOffset = this.random.u32()
    this.windowScale = config.windowScale ?? WINDOW_SCALE
    wire(k).join(config.device, this)
  }

  get address(): string {
    return ipText(this.ip)
  }

  /** Begin a connection. @param ip,port where to */
  connect(ip: string, port: number, options: ConnectOptions = {}): HostConnection {
    const localPort = options.localPort ?? this.freePort()
    const connection = new HostConnection(this, ipNumber(ip), port, localPort, options)
    this.connections.push(connection)
    connection.open()
    return connection
  }

  /** Accept connections from now on. */
  listen(port: number): void {
    this.listening.add(port)
  }

  /** Send a segment, asking for the target's hardware address first where it is not known. */
  sendSegment(target: number, segment: Segment): void {
    const send = (): void => {
      const ends = {
        sourceMac: this.mac,
        targetMac: this.neighbours.get(target) ?? NO_MAC,
        source: this.ip,
        target,
      }
      // Linux: SYN-ACKs and resets have id 0, everything else a counter of the socket
      const fixed = (segment.flags & (TCPHDR_SYN | TCPHDR_RST)) !== 0 && (segment.flags & TCPHDR_ACK) !== 0
      const id = fixed ? 0 : this.random.u32() & 0xffff
      wire(this.k).deliver(this.config.device, buildTcp(ends, segment, id))
    }
    if (this.neighbours.has(target)) {
      send()
      return
    }
    this.waiting.push({ ip: target, send })
    this.transmit(
      buildArp({
        operation: ARP_REQUEST,
        senderMac: this.mac,
        sender: this.linkIp,
        targetMac: NO_MAC,
        target,
      }),
    )
  }

  /** A frame reached this host. */
  receive(bytes: Uint8Array): void {
    if (this.config.silent) return
    this.k.clock.after(this.config.delayNs, () => {
      const arp = parseArp(bytes)
      if (arp !== undefined) {
        if (arp.target === this.linkIp) this.receiveArp(arp)
        return
      }
      const segment = parseTcp(bytes)
      if (segment?.target === this.ip) this.receiveTcp(segment)
    })
  }

  private receiveArp(arp: NonNullable<ReturnType<typeof parseArp>>): void {
    this.neighbours.set(arp.sender, arp.senderMac)
    if (arp.operation === ARP_REQUEST) {
      const operation = ARP_REPLY
      const to = { targetMac: arp.senderMac, target: arp.sender }
      this.transmit(buildArp({ operation, senderMac: this.mac, sender: this.linkIp, ...to }))
    }
    for (let i = 0; i < this.waiting.length;) {
      const entry = this.waiting[i] as (typeof this.waiting)[number]
      if (entry.ip !== arp.sender) i++
      else {
        this.waiting.splice(i, 1)
        entry.send()
      }
    }
  }

  private receiveTcp(segment: TcpFrame): void {
    this.neighbours.set(segment.source, segment.sourceMac)
    const connection = this.connections.findLast(
      (c) =>
        c.remote === segment.source &&
        c.remotePort === segment.sourcePort &&
        c.localPort === segment.targetPort,
    )
    if (connection !== undefined && !connection.forgotten) {
      connection.receive(segment)
      return
    }
    const opens = (segment.flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) === TCPHDR_SYN
    if (opens && this.listening.has(segment.targetPort)) {
      const accepted = new HostConnection(this, segment.source, segment.sourcePort, segment.targetPort, {})
      this.connections.push(accepted)
      accepted.accept(segment)
      return
    }
    this.strays.push(segment)
    if ((segment.flags & TCPHDR_RST) === 0) this.refuse(segment)
  }

  /** @see RFC 9293, 3.10.7.1: a segment for a connection that does not exist */
  private refuse(segment: TcpFrame): void {
    const acked = (segment.flags & TCPHDR_ACK) !== 0
    this.sendSegment(segment.source, {
      sourcePort: segment.targetPort,
      targetPort: segment.sourcePort,
      seq: acked ? segment.ack : 0,
      ack: acked ? 0 : (segment.seq + segmentLength(segment)) >>> 0,
      flags: acked ? TCPHDR_RST : TCPHDR_RST | TCPHDR_ACK,
      window: 0,
      options: {},
      payload: new Uint8Array(0),
    })
  }

  private transmit(bytes: Uint8Array): void {
    wire(this.k).deliver(this.config.device, bytes)
  }

  private freePort(): number {
    for (let tries = 0; ; tries++) {
      const port = EPHEMERAL_LOW + (this.random.below(EPHEMERAL_COUNT) & ~1)
      if (tries > 1000 || !this.connections.some((c) => c.localPort === port)) return port
    }
  }
}
