/**
 * The wire: frames between the machine's cards and the hosts on the other side, with their times. It lies
 * outside the machine: nothing here is guest memory.
 */

import { perKernel, type Kernel } from '../../kernel.ts'

/** A frame as captured: from the destination address on, without the checksum at the end. */
export interface Frame {
  /** Counts from 1, as a capture's first column. */
  readonly number: number
  readonly atNs: number
  readonly device: string
  readonly direction: 'in' | 'out' | 'loop'
  readonly bytes: Uint8Array
}

/** A card: takes frames from the wire. */
export interface Nic {
  readonly name: string
  readonly mac: Uint8Array
  receive(frame: Frame): void
}

/** A host on the wire. */
export interface Station {
  readonly mac: Uint8Array
  /** A frame reached this host. */
  receive(bytes: Uint8Array): void
}

/** Default one-way delay between two stations. */
const LATENCY_NS = 100_000

export class Wire {
  readonly frames: Frame[] = []
  latencyNs = LATENCY_NS
  private readonly k: Kernel
  private readonly nics = new Map<string, Nic>()
  private readonly stations: { readonly device: string; readonly station: Station }[] = []
  /** Frames to lose, decided by the scenario: called with each frame; true loses it. */
  lose: (frame: Frame) => boolean = () => false

  constructor(k: Kernel) {
    this.k = k
  }

  attach(nic: Nic): void {
    this.nics.set(nic.name, nic)
  }

  /** Put a host on the segment of a card. */
  join(device: string, station: Station): void {
    this.stations.push({ device, station })
  }

  /** Write a frame down without moving it. */
  capture(device: string, bytes: Uint8Array, direction: Frame['direction']): Frame {
    const frame: Frame = {
      number: this.frames.length + 1,
      atNs: this.k.clock.nowNs,
      device,
      direction,
      bytes,
    }
    this.frames.push(frame)
    return frame
  }

  /** The machine sends: every station the frame is addressed to gets it, a little later. */
  send(device: string, bytes: Uint8Array): void {
    const frame = this.capture(device, bytes, 'out')
    if (this.lose(frame)) return
    this.k.clock.after(this.latencyNs, () => {
      for (const { device: segment, station } of this.stations) {
        if (segment === device && isFor(bytes, station.mac)) station.receive(bytes)
      }
    })
  }

  /** A host sends: the card gets it, a little later. */
  deliver(device: string, bytes: Uint8Array): void {
    this.k.clock.after(this.latencyNs, () => {
      const frame = this.capture(device, bytes, 'in')
      if (!this.lose(frame)) this.nics.get(device)?.receive(frame)
    })
  }
}

const isFor = (bytes: Uint8Array, mac: Uint8Array): boolean =>
  ((bytes[0] ?? 0) & 1) === 1 || mac.every((byte, i) => bytes[i] === byte)

/** The wire of this machine. */
export const wire: (k: Kernel) => Wire = perKernel((k) => new Wire(k))
