/**
 * One end of a TCP connection on a remote host: small, but honest. It speaks as a Linux host does (options,
 * windows, timestamps), keeps its numbers by the segments it sees, and resends what is not acknowledged.
 *
 * @see RFC 9293
 * @remarks No congestion control, no out-of-order queue: what arrives early is dropped and acknowledged again.
 */

import { after, before } from '../../../base/u32.ts'
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_PSH, TCPHDR_RST, TCPHDR_SYN } from '../../../abi/tcp.ts'
import type { ClockEvent } from '../../clock.ts'
import type { Host } from './host.ts'
import { segmentLength, type Segment, type TcpFrame, type TcpOptions } from './segments.ts'

export type HostState =
  | 'closed'
  | 'syn-sent'
  | 'syn-received'
  | 'established'
  | 'fin-wait-1'
  | 'fin-wait-2'
  | 'closing'
  | 'time-wait'
  | 'close-wait'
  | 'last-ack'

export interface ConnectOptions {
  readonly localPort?: number | undefined
  /** Leave the SYN-ACK unanswered until {@link HostConnection.complete}. */
  readonly hold?: boolean | undefined
  /** Without timestamps, SACK and window scaling. */
  readonly plain?: boolean | undefined
}

const MSS = 1460
/** Receive windows of a Linux host with an MTU of 1500. */
const SYN_WINDOW = 64240
const SYN_ACK_WINDOW = 65160
const SYN_RTO_NS = 1_000_000_000
const DATA_RTO_NS = 200_000_000
const RETRIES_MAX = 6
const NOTHING = new Uint8Array(0)

export class HostConnection {
  readonly host: Host
  /** the other end, host order */
  readonly remote: number
  readonly remotePort: number
  readonly localPort: number
  state: HostState = 'closed'
  /** Why it ended, when not by FIN: a reset or nobody listening. */
  error: 'refused' | 'reset' | 'timed-out' | undefined
  /** Bytes received, in order. */
  received: Uint8Array = NOTHING
  /** The other end has sent FIN. */
  finReceived = false
  readonly iss: number
  sndNxt: number
  sndUna: number
  rcvNxt = 0
  private readonly options: ConnectOptions
  private tsRecent = 0
  private timestamps: boolean
  private scaled: boolean
  private peerMss = 536
  private heldSynAck = false
  private readonly unacked: Segment[] = []
  private readonly toSend: Uint8Array[] = []
  private finWanted = false
  private timer: ClockEvent | undefined
  private retries = 0

  constructor(host: Host, remote: number, remotePort: number, localPort: number, options: ConnectOptions) {
    this.host = host
    this.remote = remote
    this.remotePort = remotePort
    this.localPort = localPort
    this.options = options
    this.timestamps = options.plain !== true
    this.scaled = options.plain !== true
    this.iss = host.random.u32()
    this.sndNxt = this.iss
    this.sndUna = this.iss
  }

  /** Gone from the host's tables: further segments meet a stranger. */
  get forgotten(): boolean {
    return this.state === 'closed'
  }

  /** Active open. */
  open(): void {
    this.state = 'syn-sent'
    this.transmit(TCPHDR_SYN, NOTHING)
  }

  /** Passive open. */
  accept(syn: TcpFrame): void {
    this.learn(syn.options)
    this.rcvNxt = (syn.seq + 1) >>> 0
    this.state = 'syn-received'
    this.transmit(TCPHDR_SYN | TCPHDR_ACK, NOTHING)
  }

  /** Answer the SYN-ACK that was held back. @returns false when none has come */
  complete(): boolean {
    if (this.state !== 'syn-sent' || !this.heldSynAck) return false
    this.establish()
    return true
  }

  /** Send bytes now, or as soon as the connection is open. */
  send(bytes: Uint8Array): void {
    this.toSend.push(bytes)
    this.flush()
  }

  /** Send FIN behind everything sent so far. */
  close(): void {
    this.finWanted = true
    this.flush()
  }

  /** Send a reset and forget the connection. */
  reset(): void {
    this.emit({ flags: TCPHDR_RST | TCPHDR_ACK, seq: this.sndNxt, payload: NOTHING, options: {} })
    this.end(undefined)
  }

  receive(segment: TcpFrame): void {
    if ((segment.flags & TCPHDR_RST) !== 0) {
      this.receiveReset(segment)
      return
    }
    if (this.state === 'syn-sent') {
      this.receiveSynAck(segment)
      return
    }
    if (segment.options.timestamps !== undefined) this.tsRecent = segment.options.timestamps.value
    if ((segment.flags & TCPHDR_SYN) !== 0) {
      // our ACK was lost: the SYN-ACK comes again
      this.acknowledge()
      return
    }
    if ((segment.flags & TCPHDR_ACK) !== 0) this.receiveAck(segment.ack)
    if (!this.forgotten) this.receiveData(segment)
  }

  private receiveReset(segment: TcpFrame): void {
    if (this.state === 'syn-sent') {
      const ours = (segment.flags & TCPHDR_ACK) !== 0 && segment.ack === this.sndNxt
      if (ours) this.end('refused')
      return
    }
    // outside the window a reset is a forgery; at its left edge it counts
    if (segment.seq === this.rcvNxt || after(segment.seq, this.rcvNxt)) this.end('reset')
  }

  private receiveSynAck(segment: TcpFrame): void {
    const both = TCPHDR_SYN | TCPHDR_ACK
    if ((segment.flags & both) !== both || segment.ack !== this.sndNxt) return
    this.learn(segment.options)
    this.rcvNxt = (segment.seq + 1) >>> 0
    this.acked(segment.ack)
    this.heldSynAck = true
    if (this.options.hold !== true) this.establish()
  }

  private establish(): void {
    this.state = 'established'
    this.heldSynAck = false
    this.acknowledge()
    this.flush()
  }

  /** What the other end said in its SYN holds for the connection. */
  private learn({ mss, timestamps, windowScale }: TcpOptions): void {
    this.peerMss = mss ?? 536
    this.timestamps &&= timestamps !== undefined
    this.scaled &&= windowScale !== undefined
    this.tsRecent = timestamps?.value ?? 0
  }

  private receiveAck(ack: number): void {
    if (after(ack, this.sndNxt)) return
    this.acked(ack)
    const finAcked = this.finWanted && this.toSend.length === 0 && this.sndUna === this.sndNxt
    switch (this.state) {
      case 'syn-received':
        this.state = 'established'
        this.flush()
        break
      case 'fin-wait-1':
        if (finAcked) this.state = 'fin-wait-2'
        break
      case 'closing':
        if (finAcked) this.state = 'time-wait'
        break
      case 'last-ack':
        if (finAcked) this.end(undefined)
        break
      default:
    }
  }

  private acked(ack: number): void {
    if (after(ack, this.sndUna)) {
      this.sndUna = ack
      this.retries = 0
    }
    while (this.unacked[0] !== undefined && !after(endOf(this.unacked[0]), this.sndUna)) this.unacked.shift()
    this.armTimer()
  }

  private receiveData(segment: TcpFrame): void {
    if (segmentLength(segment) === 0) return
    const known = (this.rcvNxt - segment.seq) >>> 0
    const early = after(segment.seq, this.rcvNxt)
    if (!early && before(this.rcvNxt, endOf(segment))) {
      const fresh = segment.payload.subarray(Math.min(known, segment.payload.length))
      this.received = Buffer.concat([this.received, fresh])
      this.rcvNxt = (this.rcvNxt + fresh.length) >>> 0
      if ((segment.flags & TCPHDR_FIN) !== 0) this.receiveFin()
    }
    this.acknowledge()
  }

  private receiveFin(): void {
    this.rcvNxt = (this.rcvNxt + 1) >>> 0
    this.finReceived = true
    if (this.state === 'established') this.state = 'close-wait'
    else if (this.state === 'fin-wait-1') this.state = 'closing'
    else if (this.state === 'fin-wait-2') this.state = 'time-wait'
  }

  /** Send what is queued, and FIN behind it, when the state allows it. */
  private flush(): void {
    if (this.state !== 'established' && this.state !== 'close-wait') return
    for (const bytes of this.toSend.splice(0)) {
      for (let at = 0; at < bytes.length; at += this.mss) {
        this.transmit(TCPHDR_PSH | TCPHDR_ACK, bytes.subarray(at, at + this.mss))
      }
    }
    if (!this.finWanted) return
    this.state = this.state === 'established' ? 'fin-wait-1' : 'last-ack'
    this.transmit(TCPHDR_FIN | TCPHDR_ACK, NOTHING)
  }

  private get mss(): number {
    return Math.min(this.peerMss, MSS) - (this.timestamps ? 12 : 0)
  }

  /** Send something that takes sequence numbers, and keep it until it is acknowledged. */
  private transmit(flags: number, payload: Uint8Array): void {
    const segment = this.emit({ flags, seq: this.sndNxt, payload, options: this.optionsFor(flags) })
    this.sndNxt = (this.sndNxt + segmentLength(segment)) >>> 0
    this.unacked.push(segment)
    if (this.unacked.length === 1) this.armTimer()
  }

  private acknowledge(): void {
    this.emit({ flags: TCPHDR_ACK, seq: this.sndNxt, payload: NOTHING, options: this.optionsFor(TCPHDR_ACK) })
  }

  private emit(part: Pick<Segment, 'flags' | 'seq' | 'payload' | 'options'>): Segment {
    const segment: Segment = {
      ...part,
      sourcePort: this.localPort,
      targetPort: this.remotePort,
      ack: (part.flags & TCPHDR_ACK) !== 0 ? this.rcvNxt : 0,
      window: this.window(part.flags),
    }
    this.host.sendSegment(this.remote, segment)
    return segment
  }

  private window(flags: number): number {
    if ((flags & TCPHDR_RST) !== 0) return 0
    if ((flags & TCPHDR_SYN) !== 0) return (flags & TCPHDR_ACK) !== 0 ? SYN_ACK_WINDOW : SYN_WINDOW
    return this.scaled ? Math.ceil(SYN_WINDOW / 2 ** this.host.windowScale) : SYN_WINDOW
  }

  private optionsFor(flags: number): TcpOptions {
    const timestamps = this.timestamps ? { value: this.now(), echo: this.tsRecent } : undefined
    if ((flags & TCPHDR_SYN) === 0) return { timestamps }
    const sackPermitted = this.options.plain !== true
    return {
      mss: MSS,
      sackPermitted,
      timestamps,
      windowScale: this.scaled ? this.host.windowScale : undefined,
    }
  }

  /** The clock of timestamps: milliseconds. */
  private now(): number {
    return (Math.floor(this.host.k.clock.nowNs / 1_000_000) + this.host.timestampOffset) >>> 0
  }

  private armTimer(): void {
    if (this.timer !== undefined) this.timer.cancelled = true
    this.timer = undefined
    if (this.unacked.length === 0) return
    const opening = this.state === 'syn-sent' || this.state === 'syn-received'
    const wait = (opening ? SYN_RTO_NS : DATA_RTO_NS) * 2 ** this.retries
    this.timer = this.host.k.clock.after(wait, () => this.timeout())
  }

  private timeout(): void {
    const [segment] = this.unacked
    if (segment === undefined || this.forgotten) return
    if (++this.retries > RETRIES_MAX) {
      this.end('timed-out')
      return
    }
    const { flags, seq, payload } = segment
    this.emit({ flags, seq, payload, options: this.optionsFor(flags) })
    this.armTimer()
  }

  private end(error: HostConnection['error']): void {
    this.state = 'closed'
    this.error = error
    this.unacked.length = 0
    this.armTimer()
  }
}

const endOf = (segment: Pick<Segment, 'seq' | 'payload' | 'flags'>): number =>
  (segment.seq + segmentLength(segment)) >>> 0
