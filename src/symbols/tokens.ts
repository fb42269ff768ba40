/**
 * The compression of kallsyms names: a byte stands for a string of up to a few characters. A table of 256 such
 * tokens is made by joining the most frequent neighbours again and again.
 */

/** Names beyond this many do not improve the table, only slow its making. */
const SAMPLE = 1500

/** 256 strings, and the order in which pairs of tokens were joined. */
export interface TokenTable {
  readonly strings: readonly string[]
  /** by first * 256 + second: the joined token and its rank, or undefined */
  readonly merges: ReadonlyMap<number, { readonly token: number; readonly rank: number }>
}

/**
 * Make a token table for these texts (nm type and name, bytes as Latin-1).
 *
 * @see scripts/kallsyms.c:optimize_token_table
 * @remarks Learns from an even sample of at most {@link SAMPLE} texts, so the tokens differ from the kernel's
 * own; any table decodes alike.
 */
export function makeTokenTable(texts: readonly string[]): TokenTable {
  const strings: string[] = new Array<string>(256).fill('')
  for (const text of texts) for (const char of text) strings[char.charCodeAt(0) & 0xff] = char
  const step = Math.max(1, Math.floor(texts.length / SAMPLE))
  let sample = texts.filter((_, i) => i % step === 0).map((text) => Array.from(Buffer.from(text, 'latin1')))

  const merges = new Map<number, { token: number; rank: number }>()
  const counts = new Uint32Array(65536)
  for (let token = 255, rank = 0; token >= 0; token--) {
    if (strings[token] !== '') continue
    const pair = commonestPair(sample, counts)
    if (pair === undefined) break
    strings[token] = `${strings[pair >> 8] ?? ''}${strings[pair & 0xff] ?? ''}`
    merges.set(pair, { token, rank: rank++ })
    sample = sample.map((tokens) => join(tokens, pair, token))
  }
  return { strings, merges }
}

function commonestPair(sample: readonly number[][], counts: Uint32Array): number | undefined {
  counts.fill(0)
  let best: number | undefined
  let most = 1
  for (const tokens of sample) {
    for (let i = 1; i < tokens.length; i++) {
      const pair = ((tokens[i - 1] as number) << 8) | (tokens[i] as number)
      const count = ++(counts[pair] as number)
      counts[pair] = count
      if (count > most) {
        most = count
        best = pair
      }
    }
  }
  return best
}

function join(tokens: number[], pair: number, token: number): number[] {
  const first = pair >> 8
  const second = pair & 0xff
  const joined: number[] = []
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] === first && tokens[i + 1] === second) {
      joined.push(token)
      i++
    } else joined.push(tokens[i] as number)
  }
  return joined
}

/** The tokens of a text, joined in the order the table was made. */
export function compress(table: TokenTable, text: string): number[] {
  const ranks = ranksOf(table)
  const tokens = Array.from(Buffer.from(text, 'latin1'))
  for (;;) {
    let best = NO_RANK
    let pair = 0
    for (let i = 1; i < tokens.length; i++) {
      const candidate = ((tokens[i - 1] as number) << 8) | (tokens[i] as number)
      const rank = ranks[candidate] as number
      if (rank >= best) continue
      best = rank
      pair = candidate
    }
    const merge = table.merges.get(pair)
    if (best === NO_RANK || merge === undefined) return tokens
    let kept = 0
    for (let i = 0; i < tokens.length; i++) {
      const joins = tokens[i] === pair >> 8 && tokens[i + 1] === (pair & 0xff)
      tokens[kept++] = joins ? merge.token : (tokens[i] as number)
      if (joins) i++
    }
    tokens.length = kept
  }
}

const NO_RANK = 0xffff
const rankTables = new WeakMap<TokenTable, Uint16Array>()

/** Ranks by pair in a flat table: a lookup for every neighbour of every name. */
function ranksOf(table: TokenTable): Uint16Array {
  let ranks = rankTables.get(table)
  if (ranks === undefined) {
    ranks = new Uint16Array(65536).fill(NO_RANK)
    for (const [pair, { rank }] of table.merges) ranks[pair] = rank
    rankTables.set(table, ranks)
  }
  return ranks
}
