/** A bounded cache of pages (or groups of pages), least recently used out first. */

/** Keeps at most `capacity` values; `get` loads what is absent. */
export class LruCache<V> {
  readonly #capacity: number
  readonly #values = new Map<number, V>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** The cached value of `key`, or what `load` gives for it. A throwing `load` caches nothing. */
  get(key: number, load: (key: number) => V): V {
    const cached = this.#values.get(key)
    if (cached !== undefined) {
      this.#values.delete(key)
      this.#values.set(key, cached)
      return cached
    }
    const value = load(key)
    this.#values.set(key, value)
    if (this.#values.size > this.#capacity) {
      const oldest = this.#values.keys().next()
      if (!oldest.done) this.#values.delete(oldest.value)
    }
    return value
  }

  get size(): number {
    return this.#values.size
  }
}

/** 4096 pages: 16 MiB, whatever the dump's size. */
export const PAGE_CACHE_PAGES = 4096
