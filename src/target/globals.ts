/**
 * The C types of well-known global variables. BTF carries variables' types only for per-CPU ones, kallsyms only
 * addresses; so a small list fills the gap. A type this kernel's BTF does not have makes the entry void.
 */

import type { Type } from '../btf/type.ts'
import type { Types } from '../btf/types.ts'

const STRUCTS: Readonly<Record<string, string>> = {
  init_task: 'struct task_struct',
  init_mm: 'struct mm_struct',
  init_cred: 'struct cred',
  init_files: 'struct files_struct',
  init_fs: 'struct fs_struct',
  init_signals: 'struct signal_struct',
  init_sighand: 'struct sighand_struct',
  init_nsproxy: 'struct nsproxy',
  init_pid_ns: 'struct pid_namespace',
  init_uts_ns: 'struct uts_namespace',
  init_user_ns: 'struct user_namespace',
  init_ipc_ns: 'struct ipc_namespace',
  init_cgroup_ns: 'struct cgroup_namespace',
  init_time_ns: 'struct time_namespace',
  init_net: 'struct net',
  init_struct_pid: 'struct pid',
  init_css_set: 'struct css_set',
  cgrp_dfl_root: 'struct cgroup_root',
  root_task_group: 'struct task_group',
  modules: 'struct list_head',
  btf_modules: 'struct list_head',
  super_blocks: 'struct list_head',
  slab_caches: 'struct list_head',
  net_namespace_list: 'struct list_head',
  pernet_list: 'struct list_head',
  vmap_area_list: 'struct list_head',
  vmap_area_root: 'struct rb_root',
  mod_tree: 'struct mod_tree_root',
  module_kset: 'struct kset *',
  file_systems: 'struct file_system_type *',
  printk_rb_static: 'struct printk_ringbuffer',
  prb: 'struct printk_ringbuffer *',
  tcp_hashinfo: 'struct inet_hashinfo',
  udp_table: 'struct udp_table',
  udplite_table: 'struct udp_table',
  raw_v4_hashinfo: 'struct raw_hashinfo',
  raw_v6_hashinfo: 'struct raw_hashinfo',
  tcp_prot: 'struct proto',
  udp_prot: 'struct proto',
  raw_prot: 'struct proto',
  ping_prot: 'struct proto',
  tcpv6_prot: 'struct proto',
  udpv6_prot: 'struct proto',
  unix_dgram_proto: 'struct proto',
  unix_stream_proto: 'struct proto',
  inet_stream_ops: 'const struct proto_ops',
  inet_dgram_ops: 'const struct proto_ops',
  inet6_stream_ops: 'const struct proto_ops',
  inet6_dgram_ops: 'const struct proto_ops',
  unix_stream_ops: 'struct proto_ops',
  unix_dgram_ops: 'struct proto_ops',
  ipv4_specific: 'struct inet_connection_sock_af_ops',
  tcp_request_sock_ops: 'struct request_sock_ops',
  tcp6_request_sock_ops: 'struct request_sock_ops',
  tcp_request_sock_ipv4_ops: 'struct tcp_request_sock_ops',
  tcp_reno: 'struct tcp_congestion_ops',
  cubictcp: 'struct tcp_congestion_ops',
  net_families: 'struct net_proto_family *[46]',
  inetsw: 'struct list_head[11]',
  inet_protos: 'struct net_protocol *[256]',
  ptype_all: 'struct list_head',
  ptype_base: 'struct list_head[16]',
  loopback_ops: 'struct net_device_ops',
  sock_mnt: 'struct vfsmount *',
  socket_file_ops: 'const struct file_operations',
  sockfs_ops: 'struct super_operations',
  sockfs_inode_ops: 'struct inode_operations',
  sockfs_dentry_operations: 'struct dentry_operations',
  pipefifo_fops: 'const struct file_operations',
  eventpoll_fops: 'const struct file_operations',
  def_chr_fops: 'const struct file_operations',
  def_blk_fops: 'const struct file_operations',
  security_hook_heads: 'struct security_hook_heads',
  kprobe_table: 'struct hlist_head[64]',
  uprobes_tree: 'struct rb_root',
  softirq_vec: 'struct softirq_action[10]',
  irq_desc_tree: 'struct xarray',
  idt_table: 'gate_desc[256]',
  iomem_resource: 'struct resource',
  ioport_resource: 'struct resource',
  shadow_timekeeper: 'struct timekeeper',
  workqueues: 'struct list_head',
  ftrace_trace_arrays: 'struct list_head',
  ftrace_ops_list: 'struct ftrace_ops *',
  boot_cpu_data: 'struct cpuinfo_x86',
  node_data: 'struct pglist_data *[1024]',
  contig_page_data: 'struct pglist_data',
  mem_section: 'struct mem_section **',
  chrdevs: 'struct char_device_struct *[255]',
  cdev_map: 'struct kobj_map *',
  block_class: 'struct class',
  bdev_cache_data: 'struct kmem_cache *',
  crashk_res: 'struct resource',
  hardirq_stack_ptr: 'struct irq_stack *',
  gdt_page: 'struct gdt_page',
  tick_broadcast_device: 'struct tick_device',
  pid_max: 'int',
  nr_threads: 'int',
  nr_cpu_ids: 'unsigned int',
  total_forks: 'unsigned long',
  jiffies: 'volatile unsigned long',
  jiffies_64: 'u64',
  avenrun: 'unsigned long[3]',
  tainted_mask: 'unsigned long',
  max_pfn: 'unsigned long',
  max_low_pfn: 'unsigned long',
  min_low_pfn: 'unsigned long',
  phys_base: 'unsigned long',
  page_offset_base: 'unsigned long',
  vmalloc_base: 'unsigned long',
  vmemmap_base: 'unsigned long',
  high_memory: 'void *',
  linux_banner: 'const char[]',
  saved_command_line: 'char *',
  log_buf: 'char *',
  log_buf_len: 'u32',
  __per_cpu_offset: 'unsigned long[]',
  __cpu_online_mask: 'struct cpumask',
  __cpu_possible_mask: 'struct cpumask',
  __cpu_present_mask: 'struct cpumask',
  __cpu_active_mask: 'struct cpumask',
  system_state: 'enum system_states',
  console_drivers: 'struct console *',
  root_mountflags: 'int',
  panic_cpu: 'atomic_t',
  panic_on_oops: 'int',
  oops_in_progress: 'int',
  crashing_cpu: 'int',
  nr_irqs: 'int',
  tsc_khz: 'unsigned int',
  loops_per_jiffy: 'unsigned long',
  sysctl_tcp_mem: 'long[3]',
  tcp_memory_allocated: 'atomic_long_t',
  tcp_sockets_allocated: 'struct percpu_counter',
  _totalram_pages: 'atomic_long_t',
  vm_node_stat: 'atomic_long_t[]',
  vm_zone_stat: 'atomic_long_t[]',
}

/** The names in the list, for completion. */
export function globalNames(): readonly string[] {
  return Object.keys(STRUCTS)
}

/** The C declaration we know for a global, such as `struct proto` or `int[3]`. */
export function globalDeclaration(name: string): string | undefined {
  return Object.hasOwn(STRUCTS, name) ? STRUCTS[name] : undefined
}

/**
 * The type of a global variable: BTF's own where it has it (per-CPU variables), else the list's.
 *
 * @param size bytes of the symbol, to tell how long an array without a length is
 */
export function globalType(types: Types, name: string, size = 0): Type | undefined {
  const variable = types.btf.find(name, 'var')
  if (variable?.kind === 'var') return variable.type
  const declaration = globalDeclaration(name)
  return declaration === undefined ? undefined : resolveDeclaration(types, declaration, size)
}

/**
 * A type written as `struct X`, `enum X` or a base type or typedef, `const` or `volatile` before it, then `*`s, then `[N]`.
 * @param size total bytes, for `[]`
 */
export function resolveDeclaration(types: Types, declaration: string, size = 0): Type | undefined {
  const match =
    /^(?:(const|volatile)\s+)?(?:(struct|union|enum)\s+)?([A-Za-z_][\w ]*?)\s*(\**)((?:\[\d*\])*)$/.exec(
      declaration.trim(),
    )
  if (!match) return undefined
  const [, qualifier, kind, name = '', stars = '', arrays = ''] = match
  let type = baseType(types, kind, name)
  if (type === undefined) return undefined
  if (qualifier === 'const' || qualifier === 'volatile')
    type = { kind: qualifier, id: 0, name: '', target: type }
  for (let i = 0; i < stars.length; i++) type = { kind: 'ptr', id: 0, target: type }
  const lengths = [...arrays.matchAll(/\[(\d*)\]/g)].map((m) => m[1] ?? '')
  for (const length of lengths.reverse()) {
    const each: number = types.sizeof(type)
    const count: number = length !== '' ? Number(length) : each > 0 ? Math.floor(size / each) : 0
    type = { kind: 'array', id: 0, length: count, element: type }
  }
  return type
}

function baseType(types: Types, kind: string | undefined, name: string): Type | undefined {
  if (kind === 'struct' || kind === 'union' || kind === 'enum') return types.btf.find(name, kind)
  if (name === 'void') return { kind: 'void', id: 0 }
  // BTF spells these as the compiler does.
  const spelled: Record<string, string> = { long: 'long int', 'unsigned long': 'long unsigned int' }
  return types.btf.find(spelled[name] ?? name, 'int') ?? types.btf.find(name, 'typedef')
}
