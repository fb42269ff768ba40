/**
 * /sys/module: a directory for each module, with what is known of it and the parameters that may be seen.
 *
 * @see fs/kernfs/dir.c, fs/sysfs/file.c, kernel/module/sysfs.c, kernel/params.c
 * @remarks of sysfs there is this part; a node is made when its name is looked up, not when its object is added, and
 * nothing can be written
 */

import { toVa } from '../../../base/addr.ts'
import type { dentry, file, inode, kernel_param, kernfs_node, kmem_cache, module, seq_file, super_block } from '../../../btf/vmlinux.ts' // prettier-ignore
import { ENOENT } from '../../../abi/errno.ts'
import {
  MODULE_REF_BASE,
  MODULE_STATE_COMING,
  MODULE_STATE_GOING,
  MODULE_STATE_LIVE,
} from '../../../abi/module.ts'
import { S_IFDIR, S_IFMT, S_IFREG } from '../../../abi/stat.ts'
import { list_for_each_entry } from '../../../structures/list.ts'
import { deref } from '../../deref.ts'
import { perKernel, type Kernel } from '../../kernel.ts'
import { kfunc } from '../../kfunc.ts'
import { find_module, module_flags } from '../../kernel/module/main.ts'
import '../../kernel/params_get.ts'
import type { ParamGet } from '../../kernel/params_get.ts'
import { kstrdup } from '../../mm/slab.ts'
import { kmem_cache_create, SLAB_PANIC } from '../../mm/slab_common.ts'
import { kmem_cache_zalloc } from '../../mm/slub.ts'
import { d_add, d_alloc, d_set_d_op } from '../dcache.ts'
import { new_inode } from '../inode.ts'
import { stamp } from '../libfs.ts'
import type { DirEntry } from '../readdir.ts'
import { seq_lseek, seq_printf, seq_read_iter, single_open, single_release } from '../seq_file.ts'

const FILE = 'fs/kernfs/dir.c'
/** `kernfs_node.flags` */
const KERNFS_DIR = 1
const KERNFS_FILE = 2

interface State {
  cache: kmem_cache | undefined
  last: bigint
}
const state = perKernel<State>(() => ({ cache: undefined, last: 1n }))

/** What a directory holds: a name, its kind, and whose it is. */
interface Child {
  readonly name: string
  readonly mode: number
  /** address of the module or of the parameter */
  readonly priv: bigint
}

const DIR = S_IFDIR | 0o755
const SHOWN = S_IFREG | 0o444

/** Attributes of every module. @see kernel/module/main.c:modinfo_attrs, kernel/module/sysfs.c */
const ATTRIBUTES: Readonly<Record<string, (k: Kernel, mod: module) => string>> = {
  coresize: (_k, mod) => String(mod.core_layout.size),
  initsize: (_k, mod) => String(mod.init_layout.size),
  initstate: (_k, mod) =>
    ({ [MODULE_STATE_LIVE]: 'live', [MODULE_STATE_COMING]: 'coming', [MODULE_STATE_GOING]: 'going' })[
      mod.state
    ] ?? 'unknown',
  refcnt: (_k, mod) => String(mod.refcnt.counter - MODULE_REF_BASE),
  taint: (k, mod) => module_flags(k, mod).replace(/[()]/g, ''),
}

function parametersOf(k: Kernel, mod: module): kernel_param[] {
  const size = k.types.sizeof('kernel_param')
  const { kp } = mod
  if (kp === null) return []
  return Array.from({ length: mod.num_kp }, (_, i) => k.ref('kernel_param', kp.$va + i * size)).filter(
    ({ perm }) => perm !== 0,
  )
}

/** A parameter's own name: behind the module's and a dot in kernels that are built in, alone in a module. */
function nameAt(k: Kernel, at: bigint): string {
  const va = toVa(at, k.mem.wordSize)
  let text = ''
  for (let c = k.mem.u8(va); c !== 0 && text.length < 256; c = k.mem.u8(va + text.length))
    text += String.fromCharCode(c)
  return text.slice(text.lastIndexOf('.') + 1)
}

const nameOf = (k: Kernel, kn: kernfs_node): string => nameAt(k, kn.name)

/** Levels of the tree: the root, `module`, a module, its parameters. */
function childrenOf(k: Kernel, kn: kernfs_node): Child[] {
  const path = pathOf(k, kn)
  if (path.length === 0) return [{ name: 'module', mode: DIR, priv: 0n }]
  if (path.length === 1) {
    const head = toVa(k.sym('modules'), k.mem.wordSize)
    return [...list_for_each_entry(k.types, k.mem, head, 'module', 'list')]
      .filter((mod) => mod.mkobj.kobj.state_in_sysfs !== 0)
      .map((mod) => ({ name: mod.name.$string(), mode: DIR, priv: mod.$addr }))
  }
  const mod = k.ref('module', kn.priv)
  if (path.length === 2) {
    const files = Object.keys(ATTRIBUTES).map((name) => ({ name, mode: SHOWN, priv: mod.$addr }))
    const parameters = { name: 'parameters', mode: DIR, priv: mod.$addr }
    return parametersOf(k, mod).length === 0 ? files : [...files, parameters]
  }
  return parametersOf(k, mod).map((kp) => ({
    name: nameAt(k, kp.name),
    mode: S_IFREG | kp.perm,
    priv: kp.$addr,
  }))
}

function pathOf(k: Kernel, kn: kernfs_node): string[] {
  const names: string[] = []
  for (let at = kn; at.parent !== null && names.length < 8; at = at.parent) names.unshift(nameOf(k, at))
  return names
}

function newNode(
  k: Kernel,
  name: string,
  mode: number,
  parent: kernfs_node | null,
  priv: bigint,
): kernfs_node {
  const kn = k.ref('kernfs_node', kmem_cache_zalloc(k, state(k).cache as kmem_cache))
  kn.count.counter = 1
  kn.parent = parent
  k.mem.setPointer(kn.$vaOf('name'), kstrdup(k, name))
  kn.priv = priv
  kn.id = state(k).last++
  kn.mode = mode
  kn.flags = (mode & S_IFMT) === S_IFDIR ? KERNFS_DIR : KERNFS_FILE
  return kn
}

/** @see fs/kernfs/inode.c:kernfs_init_inode */
function initInode(k: Kernel, kn: kernfs_node, inode: inode): void {
  const dir = (kn.mode & S_IFMT) === S_IFDIR
  inode.i_ino = kn.id
  inode.i_mode = kn.mode
  inode.i_private = kn.$addr
  stamp(k, inode)
  inode.i_op = k.global(dir ? 'kernfs_dir_iops' : 'kernfs_iops', 'inode_operations')
  inode.i_fop = k.global(dir ? 'kernfs_dir_fops' : 'kernfs_file_fops', 'file_operations')
  if (!dir) inode.i_size = 4096n
}

const nodeOf = (k: Kernel, inode: inode): kernfs_node => k.ref('kernfs_node', inode.i_private)

const kernfs_iop_lookup = kfunc(
  FILE,
  function kernfs_iop_lookup(k, dir: inode, name: string, parent: dentry): dentry | null {
    const kn = nodeOf(k, dir)
    const child = childrenOf(k, kn).find((c) => c.name === name)
    if (child === undefined) return null
    const inode = new_inode(k, deref(parent.d_sb))
    initInode(k, newNode(k, name, child.mode, kn, child.priv), inode)
    const dentry = d_alloc(k, parent, name)
    d_set_d_op(dentry, k.global('kernfs_dops', 'dentry_operations'))
    d_add(k, dentry, inode)
    return dentry
  },
)

const kernfs_fop_readdir = kfunc(FILE, function kernfs_fop_readdir(k, file: file): DirEntry[] {
  return childrenOf(k, nodeOf(k, deref(file.f_inode))).map(({ name, mode }, i) => ({
    name,
    ino: BigInt(i + 1),
    mode,
  }))
})

/** The module a node belongs to; null when it has been unloaded, even if another has come by its name. */
function ownerOf(k: Kernel, kn: kernfs_node): module | null {
  const [, name] = pathOf(k, kn)
  const mod = name === undefined ? null : find_module(k, name)
  let node = kn
  while (node.parent?.parent?.parent !== null && node.parent !== null) node = node.parent
  return mod !== null && mod.$addr === node.priv ? mod : null
}

const kernfs_dop_revalidate = kfunc(
  FILE,
  function kernfs_dop_revalidate(k, dentry: dentry, _flags: number): number {
    const inode = dentry.d_inode
    if (inode === null) return 0
    const kn = nodeOf(k, inode)
    return pathOf(k, kn).length < 2 || ownerOf(k, kn) !== null ? 1 : 0
  },
)

/** The text of an attribute, or of a parameter. @see fs/sysfs/file.c:sysfs_kf_seq_show */
const sysfs_kf_seq_show = kfunc(
  'fs/sysfs/file.c',
  function sysfs_kf_seq_show(k, m: seq_file, _v: bigint): number {
    const kn = nodeOf(k, k.ref('inode', m.private))
    const mod = ownerOf(k, kn)
    if (mod === null) return -ENOENT
    const path = pathOf(k, kn)
    seq_printf(k, m, path.length === 3 ? `${attribute(k, mod, path[2] ?? '')}\n` : parameter(k, kn.priv))
    return 0
  },
)

const attribute = (k: Kernel, mod: module, name: string): string => ATTRIBUTES[name]?.(k, mod) ?? ''

function parameter(k: Kernel, at: bigint): string {
  const kp = k.ref('kernel_param', at)
  const get = kp.ops?.get ?? 0n
  return get === 0n || k.codeAt(get) === undefined ? '' : k.indirect<ParamGet>(get)(k, kp)
}

const kernfs_fop_open = kfunc(
  'fs/kernfs/file.c',
  function kernfs_fop_open(k, inode: inode, file: file): number {
    return single_open(k, file, k.text(sysfs_kf_seq_show), inode.$addr)
  },
)

/** @see fs/kernfs/mount.c:kernfs_init */
export function kernfs_init(k: Kernel): void {
  const size = k.types.sizeof('kernfs_node')
  state(k).cache = kmem_cache_create(k, 'kernfs_node_cache', size, { flags: SLAB_PANIC })
  k.global('kernfs_dir_iops', 'inode_operations').lookup = k.text(kernfs_iop_lookup)
  k.global('kernfs_dir_fops', 'file_operations').iterate_shared = k.text(kernfs_fop_readdir)
  k.global('kernfs_dops', 'dentry_operations').d_revalidate = k.text(kernfs_dop_revalidate)
  const fops = k.global('kernfs_file_fops', 'file_operations')
  fops.open = k.text(kernfs_fop_open)
  fops.read_iter = k.text(seq_read_iter)
  fops.llseek = k.text(seq_lseek)
  fops.release = k.text(single_release)
}

/** Its root directory. @see fs/kernfs/mount.c:kernfs_fill_super */
export function kernfs_fill_super(k: Kernel, sb: super_block): void {
  initInode(k, newNode(k, '', DIR, null, 0n), deref(deref(sb.s_root).d_inode))
}
