/** What the security modules' hooks return when they have no opinion. @see include/linux/lsm_hook_defs.h */

import { EINVAL, ENOPROTOOPT, ENOSYS, ENOTSUP } from './errno.ts'

/** Hooks whose neutral answer is not 0. */
export const LSM_HOOK_DEFAULTS: Readonly<Record<string, number>> = {
  fs_context_parse_param: -519, // -ENOPARAM
  dentry_init_security: -ENOTSUP,
  inode_init_security: -ENOTSUP,
  inode_getsecurity: -ENOTSUP,
  inode_setsecurity: -ENOTSUP,
  inode_copy_up_xattr: -ENOTSUP,
  task_prctl: -ENOSYS,
  getprocattr: -EINVAL,
  setprocattr: -EINVAL,
  secid_to_secctx: -ENOTSUP,
  socket_getpeersec_stream: -ENOPROTOOPT,
  socket_getpeersec_dgram: -ENOPROTOOPT,
  xfrm_state_pol_flow_match: 1,
}
