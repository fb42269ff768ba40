/** `filtertest ADDRESS`, and `mknod`: what the netfilter exercise needs beside nc. */

import { strerror } from '../abi/errno.ts'
import { O_RDONLY } from '../abi/fcntl.ts'
import { S_IFCHR, S_IFIFO } from '../abi/stat.ts'
import { parseOptions } from './options.ts'
import type { Program } from './process.ts'
import { complain } from './stdio.ts'

/** `_IOW('k', 1, unsigned int)` */
const MY_IOCTL_FILTER_ADDRESS = 0x40046b01

/** `filtertest ADDRESS`: tells `/dev/filter` to look at connections to that address only. */
export const filtertest = (argv: readonly string[]): Program =>
  function* (p) {
    const bytes = (argv[1] ?? '').split('.').map(Number)
    if (bytes.length !== 4 || bytes.some((byte) => !(byte >= 0 && byte <= 255)))
      return yield* complain(p, `Usage: ${argv[0] ?? ''} <ip address>`)
    const fd = yield* p.open('/dev/filter', O_RDONLY)
    if (fd < 0) return yield* complain(p, `open: ${strerror(-fd)}`)
    const result = yield* p.syscall('ioctl', fd, MY_IOCTL_FILTER_ADDRESS, p.data(Uint8Array.from(bytes)))
    yield* p.close(fd)
    return result < 0 ? yield* complain(p, `ioctl MY_IOCTL_FILTER_ADDRESS: ${strerror(-result)}`) : 0
  }

/** `mknod [-m MODE] NAME c|p [MAJOR MINOR]` @see coreutils mknod.c */
export const mknod = (argv: readonly string[]): Program =>
  function* (p) {
    const { values, words, error } = parseOptions(argv, 'm:')
    const [name, kind = '', major = '', minor = ''] = words
    if (error !== undefined || name === undefined)
      return yield* complain(p, `mknod: ${error ?? 'missing operand'}`)
    if (kind !== 'c' && kind !== 'p') return yield* complain(p, `mknod: invalid device type '${kind}'`)
    const [upper, lower] = [Number(major), Number(minor)]
    const dev = kind === 'p' ? 0 : (lower & 0xff) | (upper << 8) | ((lower & ~0xff) << 12)
    const mode = (kind === 'p' ? S_IFIFO : S_IFCHR) | Number.parseInt(values.get('m') ?? '666', 8)
    const result = yield* p.syscall('mknod', p.string(name), mode, dev)
    return result < 0 ? yield* complain(p, `mknod: ${name}: ${strerror(-result)}`) : 0
  }
