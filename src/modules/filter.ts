/**
 * `filter`: says of every connection this machine begins where it comes from. A hook in LOCAL_OUT looks at each packet;
 * an ioctl on its device, `/dev/filter`, narrows it to one destination.
 *
 * The device's node is made by hand: `mknod /dev/filter c 42 0`.
 */

import { ntohs } from '../base/u32.ts'
import { EFAULT, ENOTTY } from '../abi/errno.ts'
import { IPPROTO_TCP } from '../abi/in.ts'
import { NFPROTO_IPV4, NF_ACCEPT, NF_INET_LOCAL_OUT, NF_IP_PRI_FIRST } from '../abi/netfilter.ts'
import { MKDEV } from '../abi/stat.ts'
import type { file, inode, sk_buff } from '../btf/vmlinux.ts'
import {
  cdev_add,
  cdev_del,
  cdev_init,
  register_chrdev_region,
  unregister_chrdev_region,
} from '../linux/fs/char_dev.ts'
import { tcp_hdr } from '../linux/include/net/casts.ts'
import type { Kernel } from '../linux/kernel.ts'
import { kfunc } from '../linux/kfunc.ts'
import { defineModule, moduleOf } from '../linux/kernel/module/api.ts'
import { pr_alert } from '../linux/kernel/printk/printk.ts'
import { copy_from_user } from '../linux/lib/usercopy.ts'
import { init_net } from '../linux/net/core/net_namespace.ts'
import { ip_hdr } from '../linux/net/core/skbuff.ts'
import { nf_register_net_hook, nf_unregister_net_hook } from '../linux/net/netfilter/core.ts'
import { dotted } from './text.ts'

const NAME = 'filter'
const FILE = 'filter.c'
const OWN = { module: NAME } as const
const MY_MAJOR = 42
/** `_IOW('k', 1, unsigned int)`: the argument is the address of an address, in network order. */
export const MY_IOCTL_FILTER_ADDRESS = 0x40046b01
const SIZEOF = { nf_hook_ops: 56, cdev: 104, file_operations: 280 }

const self = (k: Kernel) => moduleOf(k, NAME)

/** Is this the destination asked for? Any is, until an ioctl has named one. */
const test_daddr = kfunc(
  FILE,
  function test_daddr(k, dst: number): boolean {
    const me = self(k)
    return me.int('ioctl_set') === 0 || k.mem.u32(me.sym('ioctl_set_addr')) === dst
  },
  OWN,
)

/** `nf_hookfn`: a SYN without an ACK begins a connection. */
export const my_nf_hookfn = kfunc(
  FILE,
  function my_nf_hookfn(k, _priv: bigint, skb: sk_buff): number {
    const iph = ip_hdr(k, skb)
    if (iph.protocol === IPPROTO_TCP && test_daddr(k, iph.daddr)) {
      const tcph = tcp_hdr(k, skb)
      if (tcph.syn === 1 && tcph.ack === 0)
        pr_alert(k, `TCP connection initiated from ${dotted(iph.saddr)}:${ntohs(tcph.source)}`)
    }
    return NF_ACCEPT
  },
  OWN,
)

const my_open = kfunc(FILE, function my_open(_k, _inode: inode, _file: file): number { return 0 }, OWN) // prettier-ignore
const my_close = kfunc(FILE, function my_close(_k, _inode: inode, _file: file): number { return 0 }, OWN) // prettier-ignore

const my_ioctl = kfunc(
  FILE,
  function my_ioctl(k, _file: file, cmd: number, arg: bigint): number {
    if (cmd !== MY_IOCTL_FILTER_ADDRESS) return -ENOTTY
    const me = self(k)
    if (copy_from_user(k, me.sym('ioctl_set_addr'), arg, 4) !== 0) return -EFAULT
    k.mem.setU32(me.sym('ioctl_set'), 1)
    return 0
  },
  OWN,
)

const my_hook_init = kfunc(
  FILE,
  function my_hook_init(k): number {
    const me = self(k)
    const busy = register_chrdev_region(k, MKDEV(MY_MAJOR, 0), 1, NAME)
    if (busy !== 0) return busy
    const fops = k.ref('file_operations', me.sym('my_fops'))
    fops.owner = me.mod
    fops.open = k.text(my_open)
    fops.release = k.text(my_close)
    fops.unlocked_ioctl = k.text(my_ioctl)
    const cdev = k.ref('cdev', me.sym('my_cdev'))
    cdev_init(k, cdev, fops)
    cdev_add(k, cdev, MKDEV(MY_MAJOR, 0), 1)
    const nfho = k.ref('nf_hook_ops', me.sym('my_nfho'))
    nfho.hook = k.text(my_nf_hookfn)
    nfho.hooknum = NF_INET_LOCAL_OUT
    nfho.pf = NFPROTO_IPV4
    nfho.priority = NF_IP_PRI_FIRST
    const err = nf_register_net_hook(k, init_net(k), nfho)
    if (err === 0) return 0
    cdev_del(k, cdev)
    unregister_chrdev_region(k, MKDEV(MY_MAJOR, 0), 1)
    return err
  },
  OWN,
)

const my_hook_exit = kfunc(
  FILE,
  function my_hook_exit(k): void {
    const me = self(k)
    nf_unregister_net_hook(k, init_net(k), k.ref('nf_hook_ops', me.sym('my_nfho')))
    cdev_del(k, k.ref('cdev', me.sym('my_cdev')))
    unregister_chrdev_region(k, MKDEV(MY_MAJOR, 0), 1)
  },
  OWN,
)

export const filter = defineModule({
  name: NAME,
  license: 'GPL',
  author: 'SO2',
  description: 'Simple netfilter module',
  imports: ['_printk', '_copy_from_user', 'cdev_init', 'cdev_add', 'cdev_del', 'register_chrdev_region', 'unregister_chrdev_region', 'init_net', 'nf_register_net_hook', 'nf_unregister_net_hook'], // prettier-ignore
  variables: [
    { name: 'my_fops', size: SIZEOF.file_operations },
    { name: 'my_cdev', size: SIZEOF.cdev },
    { name: 'my_nfho', size: SIZEOF.nf_hook_ops },
    { name: 'ioctl_set', size: 4, align: 4 },
    { name: 'ioctl_set_addr', size: 4, align: 4 },
  ],
  functions: [test_daddr, my_nf_hookfn, my_open, my_close, my_ioctl],
  init: my_hook_init,
  exit: my_hook_exit,
})
