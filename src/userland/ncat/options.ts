/** ncat's command line. @see ncat/ncat_main.c */

export interface NcatOptions {
  readonly listen: boolean
  /** -k: go on listening after the first connection */
  readonly keepOpen: boolean
  readonly family: 4 | 6 | undefined
  readonly verbose: boolean
  readonly sendOnly: boolean
  readonly recvOnly: boolean
  /** dotted quad; undefined: all addresses */
  readonly host: string | undefined
  readonly port: number
  /** -p: its own port when connecting */
  readonly sourcePort: number | undefined
}

const DEFAULT_PORT = 31337
const LONG: Readonly<Record<string, string>> = {
  '--listen': 'l',
  '--keep-open': 'k',
  '--verbose': 'v',
  '--send-only': 'S',
  '--recv-only': 'R',
  '--source-port': 'p',
}

/** @returns what ncat says of a command line it cannot take, as text */
export function parseNcat(argv: readonly string[]): NcatOptions | string {
  const flags = new Set<string>()
  const words: string[] = []
  let sourcePort: number | undefined
  const rest = argv.slice(1)
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!word.startsWith('-') || word === '-') {
      words.push(word)
      continue
    }
    const letters = word.startsWith('--') ? LONG[word] : word.slice(1)
    if (letters === undefined)
      return `ncat: unrecognized option '${word}'\nNcat: Unrecognised option. QUITTING.\n`
    for (const letter of letters) {
      if (letter === 'p') sourcePort = Number(rest.shift())
      else if ('lkv46nSR'.includes(letter)) flags.add(letter)
      else return `ncat: invalid option -- '${letter}'\nNcat: Unrecognised option. QUITTING.\n`
    }
  }
  return optionsOf(flags, words, sourcePort)
}

function optionsOf(
  flags: ReadonlySet<string>,
  words: readonly string[],
  sourcePort: number | undefined,
): NcatOptions | string {
  const listen = flags.has('l')
  if (words.length > 2)
    return `Ncat: Got more than one port specification: ${words.slice(1).join(' ')}. QUITTING.\n`
  if (!listen && words.length === 0) return 'Ncat: You must specify a host to connect to. QUITTING.\n'
  // a single word of a listener is a port when it is a number
  const alone = listen && words.length === 1 && /^\d+$/.test(words[0] as string)
  const host = alone ? undefined : words[0]
  const portText = alone ? words[0] : words[1]
  const port = portText === undefined ? (sourcePort ?? DEFAULT_PORT) : Number(portText)
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    return `Ncat: Invalid port number "${portText}". QUITTING.\n`
  if (host !== undefined && !/^\d+(\.\d+){3}$/.test(host)) {
    return `Ncat: Could not resolve hostname "${host}": Name or service not known. QUITTING.\n`
  }
  return {
    listen,
    keepOpen: flags.has('k'),
    family: flags.has('4') ? 4 : flags.has('6') ? 6 : undefined,
    verbose: flags.has('v'),
    sendOnly: flags.has('S'),
    recvOnly: flags.has('R'),
    host,
    port,
    sourcePort,
  }
}
