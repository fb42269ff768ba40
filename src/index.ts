/**
 * The package's main export: everything a script needs to open a memory and read it. It is the inspector the
 * commands are made of, and nothing of the simulator. `docs/api.md` explains it by example.
 */

// -- a memory, opened ----------------------------------------------------------------------------------------------
export { openTarget, openTargetSync, targetOf, Target } from './target/target.ts'
export type { OpenOptions, UserMemory } from './target/target.ts'
export { openContainer } from './vmcore/open.ts'
export type { Container, ContainerStats, History, Note, PfnRange, SnapshotInfo } from './vmcore/container.ts'
export type { Memory, PhysicalMemory } from './memory/memory.ts'
export type { Kernel } from './helpers/kernel.ts'

// -- addresses and errors ------------------------------------------------------------------------------------------
export { addr, hex, hexFull, toAddr, toVa } from './base/addr.ts'
export type { Addr, Va } from './base/addr.ts'
export {
  CoredrillError,
  DumpError,
  FaultError,
  InvariantError,
  LookupError,
  UsageError,
  ValidationError,
} from './base/errors.ts'
export type { ErrorCode, FaultReason } from './base/errors.ts'

// -- types, references, values -------------------------------------------------------------------------------------
export { Btf } from './btf/parse.ts'
export { Types } from './btf/types.ts'
export type { Place, RefOf } from './btf/types.ts'
export { ArrayRef, StructRef } from './btf/ref.ts'
export type { Value } from './btf/ref.ts'
export { CValue } from './btf/value.ts'
export type { Hole } from './btf/value.ts'
export { isStruct, strip } from './btf/type.ts'
export type { Member, StructType, Type, TypeKind } from './btf/type.ts'
export { declare } from './btf/declare.ts'
export type { KernelStructs } from './btf/vmlinux.ts'
export { evaluate, parseTypeName } from './helpers/expression.ts'
export type { EvaluateOptions, Scope } from './helpers/expression.ts'
export { plainValue } from './render/c-plain.ts'
export type { PlainValue } from './render/c-plain.ts'
export { valueText } from './render/c-value.ts'
export { hexdump } from './render/hexdump.ts'

// -- symbols -------------------------------------------------------------------------------------------------------
export { SymbolTable } from './symbols/table.ts'
export type { KernelSymbol, SymbolHit } from './symbols/symbol.ts'
export { LoadedModule } from './symbols/modules.ts'

// -- the kernel's containers ---------------------------------------------------------------------------------------
export { list_empty, list_for_each, list_for_each_entry, validate_list } from './structures/list.ts'
export { hlist_empty, hlist_for_each, hlist_for_each_entry, validate_hlist } from './structures/hlist.ts'
export { hlist_nulls_for_each, hlist_nulls_for_each_entry } from './structures/hlist_nulls.ts'
export { rb_for_each, rb_for_each_entry, validate_rbtree } from './structures/rbtree.ts'
export { xa_for_each, xa_load } from './structures/xarray.ts'
export { mt_for_each, mt_load } from './structures/maple_tree.ts'

// -- tasks ---------------------------------------------------------------------------------------------------------
export { TaskTable, task_table } from './helpers/tasks.ts'
export type { TaskContext } from './helpers/tasks.ts'
export { children, find_task, for_each_task, thread_group } from './helpers/pid.ts'
export {
  init_task,
  is_kernel_thread,
  task_comm,
  task_cpu,
  task_pid,
  task_state,
  task_state_string,
  task_states,
  task_tgid,
} from './helpers/task.ts'
export { Backtracer } from './helpers/backtrace.ts'
export { task_memory } from './helpers/task-memory.ts'
export { for_each_vma, vma_lookup, vma_path, vma_range } from './helpers/mm.ts'
export { find_panic } from './helpers/panic.ts'
export { per_cpu, possible_cpus, online_cpus } from './helpers/percpu.ts'

// -- files and mounts ----------------------------------------------------------------------------------------------
export {
  fget,
  file_dentry,
  file_inode,
  file_path,
  file_row,
  for_each_file,
  S_ISSOCK,
  task_dir,
} from './helpers/fs.ts'
export type { FileRow, OpenFile } from './helpers/fs.ts'
export { dentry_name, dentry_path } from './helpers/dcache.ts'
export { for_each_mount, mount_row } from './helpers/mount.ts'
export type { MountRow } from './helpers/mount.ts'

// -- sockets and TCP -----------------------------------------------------------------------------------------------
export {
  for_each_socket,
  inet_addresses,
  inet_end_text,
  skb_queue_bytes,
  skb_queue_walk,
  sock_from_file,
  sock_kind,
  sock_owner,
  sock_summary,
  SOCK_INODE,
  SOCKET_I,
  tcp_state_name,
  unix_names,
} from './helpers/sock.ts'
export type { InetAddresses, InetEnd, OpenSocket, SockKind, SockSummary, UnixNames } from './helpers/sock.ts'
export {
  accept_queue,
  bhash_for_each,
  ehash_for_each,
  lhash2_for_each,
  listener_queues,
  request_listener,
  tcp_hashinfo,
  tcp_queues,
  tcp_row,
  udp_for_each,
} from './helpers/tcp.ts'
export type { AcceptEntry, BoundPort, HashedSock, ListenerQueues, TcpRow } from './helpers/tcp.ts'

// -- network devices -----------------------------------------------------------------------------------------------
export {
  arp_table,
  for_each_net,
  for_each_netdev,
  netdev_addresses,
  netdev_name,
  task_net,
} from './helpers/net.ts'
export type { NeighbourRow } from './helpers/net.ts'
export { ipv4_text, ipv6_text } from './helpers/inet-address.ts'

// -- modules, log, machine -----------------------------------------------------------------------------------------
export { find_module, for_each_module, module_name, module_state, module_users } from './helpers/module.ts'
export { log_records } from './helpers/printk.ts'
export type { LogRecord } from './helpers/printk.ts'
export { system_calls } from './helpers/syscall-table.ts'
export type { SystemCall } from './helpers/syscall-table.ts'
export { uptime, utsname, wall_time } from './helpers/time.ts'
export type { Utsname } from './helpers/time.ts'

// -- reasons -------------------------------------------------------------------------------------------------------
export { explainDescriptor, explainSock, socketDescriptors } from './explain/explain.ts'
export { explanationText } from './explain/text.ts'
export type {
  Evidence,
  Explanation,
  Field,
  HookEntry,
  Refusal,
  Side,
  SockKindName,
  Stage,
  Waiting,
} from './explain/facts.ts'
export { journalOf, lastWrite, refusalsOf, siteOf, stepOf } from './explain/history.ts'
export type { Site, StepNote } from './explain/history.ts'
export { lineage } from './explain/lineage.ts'
export type { Origin } from './explain/lineage.ts'
