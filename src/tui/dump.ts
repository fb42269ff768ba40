/** The dump browsed: its snapshots, each opened when it is first looked at. */

import type { SnapshotInfo } from '../vmcore/container.ts'
import type { Target } from '../target/target.ts'
import { World } from './world.ts'

/** Snapshots kept open. */
const KEPT = 6

export interface DumpOptions {
  /** how the dump is called on the screen */
  readonly name: string
  /** only ASCII may be shown */
  readonly ascii: boolean
}

export class Dump {
  readonly target: Target
  readonly name: string
  readonly ascii: boolean
  /** the kernel's release, once it was read */
  release: string | undefined
  readonly #worlds = new Map<number, World>()

  constructor(target: Target, options: DumpOptions) {
    this.target = target
    this.name = options.name
    this.ascii = options.ascii
  }

  /** None for a vmcore. */
  get snapshots(): readonly SnapshotInfo[] {
    return this.target.snapshots
  }

  get hasTimeline(): boolean {
    return this.snapshots.length > 0
  }

  /** Position of the snapshot the target was opened at. */
  get start(): number {
    const { snapshot } = this.target
    return snapshot === undefined ? 0 : Math.max(0, this.snapshots.indexOf(snapshot))
  }

  /** A snapshot's world; of a vmcore the only one. */
  world(position: number): World {
    let world = this.#worlds.get(position)
    if (world === undefined) {
      const snapshot = this.snapshots[position]
      const target =
        snapshot === undefined || position === this.start ? this.target : this.target.at(snapshot.name)
      world = new World(target, this.ascii)
      this.#makeRoom()
      this.#worlds.set(position, world)
    }
    return world
  }

  #makeRoom(): void {
    for (const position of this.#worlds.keys()) {
      if (this.#worlds.size < KEPT) return
      this.#worlds.delete(position)
    }
  }
}
