/**
 * The hooks each security module registers, in the order in which they stand in its array: what
 * `security_hook_heads` links at boot. Array order and chain order are those of a running Debian 6.1 kernel.
 *
 * @see security/commoncap.c, security/apparmor/lsm.c, security/landlock, security/yama, security/tomoyo, security/bpf
 */

/** One static array of `struct security_hook_list`. */
export interface HookArray {
  readonly symbol: string
  /** From the symbol: Landlock has three arrays of the same name behind each other. */
  readonly offset: number
  /** Member of `struct security_hook_heads`, and the function. */
  readonly hooks: readonly (readonly [head: string, hook: string])[]
}

export interface SecurityModule {
  readonly name: string
  /** Where its functions are, in the kernel tree. */
  readonly file: string
  readonly arrays: readonly HookArray[]
}

/** `head` stands for `prefix + head`, `head=function` for a function of another name. */
function hooks(prefix: string, list: string): HookArray['hooks'] {
  return list
    .trim()
    .split(/\s+/)
    .map((entry) => {
      const [head = '', hook = prefix + head] = entry.split('=')
      return [head, hook] as const
    })
}

/**
 * @param heads every member of `struct security_hook_heads` in order: BPF has a hook for each
 */
export function securityModules(heads: readonly string[]): readonly SecurityModule[] {
  return [...MODULES, bpf(heads)]
}

const array = (symbol: string, prefix: string, list: string, offset = 0): HookArray => ({
  symbol,
  offset,
  hooks: hooks(prefix, list),
})

const MODULES: readonly SecurityModule[] = [
  {
    name: 'lockdown',
    file: 'security/lockdown/lockdown.c',
    arrays: [array('lockdown_hooks', 'lockdown_', 'locked_down=lockdown_is_locked_down')],
  },
  {
    name: 'capability',
    file: 'security/commoncap.c',
    arrays: [
      array(
        'capability_hooks',
        'cap_',
        `capable settime ptrace_access_check ptrace_traceme capget capset bprm_creds_from_file
         inode_need_killpriv inode_killpriv inode_getsecurity mmap_addr mmap_file task_fix_setuid task_prctl
         task_setscheduler task_setioprio task_setnice vm_enough_memory`,
      ),
    ],
  },
  {
    name: 'landlock',
    file: 'security/landlock/fs.c',
    arrays: [
      array('landlock_hooks', 'hook_', 'cred_prepare cred_transfer cred_free'),
      array('landlock_hooks', 'hook_', 'ptrace_access_check ptrace_traceme', 0x80),
      array(
        'landlock_hooks',
        'hook_',
        `inode_free_security sb_delete sb_mount move_mount sb_umount sb_remount sb_pivotroot path_link path_rename
         path_mkdir path_mknod path_symlink path_unlink path_rmdir file_open`,
        0xe0,
      ),
    ],
  },
  {
    name: 'yama',
    file: 'security/yama/yama_lsm.c',
    arrays: [array('yama_hooks', 'yama_', 'ptrace_access_check ptrace_traceme task_prctl task_free')],
  },
  {
    name: 'apparmor',
    file: 'security/apparmor/lsm.c',
    arrays: [
      array(
        'apparmor_hooks',
        'apparmor_',
        `ptrace_access_check ptrace_traceme capget capable sb_mount sb_umount sb_pivotroot path_link path_unlink
         path_symlink path_mkdir path_rmdir path_mknod path_rename path_chmod path_chown path_truncate
         inode_getattr file_open file_receive file_permission file_alloc_security file_free_security mmap_file
         file_mprotect file_lock getprocattr setprocattr sk_free_security sk_clone_security socket_create
         socket_post_create socket_bind socket_connect socket_listen socket_accept socket_sendmsg socket_recvmsg
         socket_getsockname socket_getpeername socket_getsockopt socket_setsockopt socket_shutdown
         socket_sock_rcv_skb socket_getpeersec_stream socket_getpeersec_dgram sock_graft inet_conn_request
         cred_alloc_blank cred_free cred_prepare cred_transfer bprm_creds_for_exec bprm_committing_creds
         bprm_committed_creds task_free task_alloc current_getsecid_subj task_getsecid_obj task_setrlimit
         task_kill audit_rule_init=aa_audit_rule_init audit_rule_known=aa_audit_rule_known
         audit_rule_match=aa_audit_rule_match audit_rule_free=aa_audit_rule_free secid_to_secctx secctx_to_secid
         release_secctx`,
      ),
    ],
  },
  {
    name: 'tomoyo',
    file: 'security/tomoyo/tomoyo.c',
    arrays: [
      array(
        'tomoyo_hooks',
        'tomoyo_',
        `cred_prepare bprm_committed_creds task_alloc task_free bprm_creds_for_exec bprm_check_security file_fcntl
         file_open path_truncate path_unlink path_mkdir path_rmdir path_symlink path_mknod path_link path_rename
         inode_getattr file_ioctl file_ioctl_compat=tomoyo_file_ioctl path_chmod path_chown path_chroot sb_mount
         sb_umount sb_pivotroot socket_bind socket_connect socket_listen socket_sendmsg`,
      ),
    ],
  },
]

/** @see security/bpf/hooks.c */
function bpf(heads: readonly string[]): SecurityModule {
  const own = 'inode_free_security=bpf_inode_storage_free task_free=bpf_task_storage_free'
  const all = [...hooks('bpf_lsm_', heads.join(' ')), ...hooks('', own)]
  return {
    name: 'bpf',
    file: 'kernel/bpf/bpf_lsm.c',
    arrays: [{ symbol: 'bpf_lsm_hooks', offset: 0, hooks: all }],
  }
}
