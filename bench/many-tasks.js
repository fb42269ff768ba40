/**
 * A kernel with any number of tasks: the memory of a recorded dump, and beyond its end pages that are made when they
 * are read — page tables, an xarray of pids, a `struct pid` and a `task_struct` each. Guest memory, not rows: whoever
 * looks at it goes through the kernel's own structures.
 */

import { Buffer } from 'node:buffer'

const PAGE = 4096
/** Bytes from one task to the next: its task_struct, then its pid. */
const STRIDE = 16384
const PID_OFFSET = 12288
/** Where the made memory is seen: a part of the kernel's half that Linux leaves empty (fffff40000000000). */
const PML4_SLOT = 488
const BASE = -(2 ** 47) + (PML4_SLOT - 256) * 2 ** 39
/** Its page frames; no dump is that large. */
const FIRST_PFN = 2 ** 28
const PRESENT = 0x63n
/** Pages kept, as the readers of dump files keep them. */
const CACHED = 4096

/**
 * @param target    an opened dump of x86_64 with four levels of page tables
 * @param targetOf  src/target/target: makes a target of a container
 * @returns the target, and counts of the made pages that were read
 */
export function manyTasks(target, targetOf, count) {
  const made = new Made(target, count)
  const { container } = target
  const under =
    container.history === undefined
      ? container.memory
      : container.history.memoryAt(container.history.snapshots.length - 1)
  const memory = {
    pageSize: PAGE,
    page: (pfn) => made.page(pfn, under),
  }
  const wrapped = Object.create(container, { memory: { value: memory }, history: { value: undefined } })
  return { target: targetOf(wrapped), reads: made.reads }
}

class Made {
  constructor(target, count) {
    const { types, mem } = target
    this.count = count
    this.cache = new Map()
    this.reads = { tasks: 0, nodes: 0, tables: 0 }
    const size = types.sizeof('task_struct')
    if (size > PID_OFFSET) throw new Error(`a task_struct of ${size} bytes`)
    const init = target.symVa('init_task')
    this.task = mem.read(init, size)
    this.at = {
      pid: types.offsetof('task_struct', 'pid'),
      tgid: types.offsetof('task_struct', 'tgid'),
      comm: types.offsetof('task_struct', 'comm'),
      links: types.offsetof('task_struct', 'pid_links[0]'),
      tasks: types.offsetof('pid', 'tasks[0]'),
      slots: types.offsetof('xa_node', 'slots'),
      shift: types.offsetof('xa_node', 'shift'),
    }
    this.#plan(target)
  }

  /** Areas of made memory one after the other: tasks, xarray nodes by level; behind them the page tables. */
  #plan(target) {
    this.levels = []
    let nodes = 0
    for (let covered = this.count + 1, shift = 0; shift === 0 || covered > 1; shift += 6) {
      covered = Math.ceil(covered / 64)
      this.levels.push({ first: nodes, count: covered, shift })
      nodes += covered
      if (covered === 1) break
    }
    this.taskPages = this.count * (STRIDE / PAGE)
    // a node has 576 bytes: a page each is simplest
    this.nodePages = nodes
    this.pages = this.taskPages + this.nodePages
    this.ptFirst = this.pages
    this.pdFirst = this.ptFirst + Math.ceil(this.pages / 512)
    this.pdptAt = this.pdFirst + Math.ceil(this.pages / 512 ** 2)
    // what is changed of the dump's own pages: the top page table and the namespace's root
    const { types } = target
    const ns = target.symVa('init_pid_ns')
    const head = ns + types.offsetof('pid_namespace', 'idr.idr_rt') + types.offsetof('xarray', 'xa_head')
    const root = this.levels.at(-1)
    this.patches = [
      [target.virtToPhys(head), BigInt.asUintN(64, BigInt(this.#nodeVa(root.first)) | 2n)],
      [target.virtToPhys(target.symVa('init_top_pgt')) + PML4_SLOT * 8, this.#entry(this.pdptAt)],
    ]
  }

  page(pfn, under) {
    if (pfn < FIRST_PFN || pfn > FIRST_PFN + this.pdptAt) return this.#patched(pfn, under.page(pfn))
    let page = this.cache.get(pfn)
    if (page === undefined) {
      page = this.#make(pfn - FIRST_PFN)
      if (this.cache.size >= CACHED) this.cache.delete(this.cache.keys().next().value)
      this.cache.set(pfn, page)
    }
    return page
  }

  #make(at) {
    if (at < this.taskPages) return this.#taskPage(at)
    if (at < this.pages) return this.#nodePage(at - this.taskPages)
    this.reads.tables++
    if (at < this.pdFirst) return this.#table((i) => (at - this.ptFirst) * 512 + i, this.pages, 0)
    if (at < this.pdptAt)
      return this.#table((i) => (at - this.pdFirst) * 512 + i, this.pdFirst - this.ptFirst, this.ptFirst)
    return this.#table((i) => i, this.pdptAt - this.pdFirst, this.pdFirst)
  }

  #patched(pfn, page) {
    const own = this.patches.filter(([phys]) => Math.floor(phys / PAGE) === pfn)
    if (own.length === 0 || typeof page === 'string') return page
    const copy = Buffer.from(page)
    for (const [phys, value] of own) copy.writeBigUInt64LE(value, phys % PAGE)
    return copy
  }

  #table(index, limit, first) {
    const page = Buffer.alloc(PAGE)
    for (let i = 0; i < 512; i++)
      if (index(i) < limit) page.writeBigUInt64LE(this.#entry(first + index(i)), i * 8)
    return page
  }

  #entry(at) {
    return (BigInt(FIRST_PFN + at) << 12n) | PRESENT
  }

  #nodeVa(node) {
    return BASE + (this.taskPages + node) * PAGE
  }

  #taskPage(at) {
    this.reads.tasks++
    const task = Math.floor(at / (STRIDE / PAGE))
    const part = at % (STRIDE / PAGE)
    const slot = Buffer.alloc(STRIDE)
    slot.set(this.task)
    slot.writeUInt32LE(task + 1, this.at.pid)
    slot.writeUInt32LE(task + 1, this.at.tgid)
    slot.fill(0, this.at.comm, this.at.comm + 16)
    slot.write(`worker-${task + 1}`, this.at.comm, 'latin1')
    slot.writeBigInt64LE(BigInt(BASE + task * STRIDE + this.at.links), PID_OFFSET + this.at.tasks)
    return slot.subarray(part * PAGE, (part + 1) * PAGE)
  }

  #nodePage(node) {
    this.reads.nodes++
    const level = this.levels.findLast(({ first }) => node >= first)
    const page = Buffer.alloc(PAGE)
    page.writeUInt8(level.shift, this.at.shift)
    for (let i = 0; i < 64; i++) {
      const index = (node - level.first) * 64 + i
      const value = level.shift === 0 ? this.#pidOf(index) : this.#childOf(level, index)
      page.writeBigUInt64LE(BigInt.asUintN(64, value), this.at.slots + i * 8)
    }
    return page
  }

  #pidOf(pid) {
    return pid < 1 || pid > this.count ? 0n : BigInt(BASE + (pid - 1) * STRIDE + PID_OFFSET)
  }

  #childOf(level, index) {
    const below = this.levels[this.levels.indexOf(level) - 1]
    return index < below.count ? BigInt(this.#nodeVa(below.first + index)) | 2n : 0n
  }
}
