import { Args, Command, Flags } from '@oclif/core'
import { cacheFolder, IndexCache, type CachedFile } from '../src/target/index-cache.ts'

/** What is kept, in `cache --json`. */
interface CacheFolderRow {
  /** absent where there is no home to keep it in */
  readonly folder: string | undefined
  readonly files: readonly CachedKernelRow[]
  /** were they removed? */
  readonly cleared: boolean
}

/** What is kept of one kernel. */
interface CachedKernelRow {
  readonly buildId: string | undefined
  readonly bytes: number
  /** when it was last used, as ISO 8601 has it */
  readonly used: string
}

/** Rows: {@link CacheFolderRow}. */
export default class Cache extends Command {
  static override summary = 'list or clear what was kept of kernels to open their dumps faster'
  static override description =
    'The first opening of a kernel keeps its types and their names by build id; later ones use them when samples of the\n' +
    'dump agree. Nothing is lost by clearing. --no-cache or COREDRILL_NO_CACHE does without.'
  static override examples = ['<%= config.bin %> cache', '<%= config.bin %> cache clear']
  static override args = {
    action: Args.string({
      options: ['list', 'clear'],
      default: 'list',
      description: 'what to do',
      ignoreStdin: true,
    }),
  }
  static override flags = { json: Flags.boolean({ summary: 'the same rows as JSON' }) }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Cache)
    const folder = cacheFolder()
    const cache = folder === undefined ? undefined : new IndexCache(folder, (line) => this.logToStderr(line))
    const files = cache?.files() ?? []
    if (args.action === 'clear') cache?.clear()
    const rows: CacheFolderRow = { folder, files: files.map(row), cleared: args.action === 'clear' }
    if (flags.json) this.log(JSON.stringify(rows))
    else if (args.action === 'clear') this.log(`${files.length} removed from ${folder ?? 'no folder'}`)
    else this.log([`${folder ?? 'no folder'}: ${files.length} kernels`, ...files.map(line)].join('\n'))
  }
}

const row = ({ name, bytes, usedMs }: CachedFile): CachedKernelRow => ({
  buildId: name.split('.')[0],
  bytes,
  used: new Date(usedMs).toISOString(),
})

const line = ({ name, bytes, usedMs }: CachedFile): string =>
  `${name.split('.')[0] ?? ''}  ${(bytes / 2 ** 20).toFixed(1).padStart(5)} MiB  ${new Date(usedMs).toISOString().slice(0, 10)}`
