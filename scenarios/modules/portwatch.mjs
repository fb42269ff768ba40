/**
 * `portwatch port=PORT [deny=1]`: logs every connection that begins to a TCP port of this machine, and refuses it when asked to.
 *
 * A module of a scenario's own. The functions of the simulated kernel come as an object: see docs/modules.md.
 *
 * @param {import('coredrill/module').ModuleApi} api
 */
export default function portwatch(api) {
  const { kfunc, defineModule, moduleOf, pr_info, netfilter: NF, errno } = api
  const NAME = 'portwatch'
  const OWN = { module: NAME }

  /** `nf_hookfn`: it has a symbol, a frame on the stack and a name in the journal, because it is declared with kfunc. */
  const portwatch_hook = kfunc(
    'portwatch.c',
    function portwatch_hook(k, _priv, skb, _state) {
      const me = moduleOf(k, NAME)
      const iph = api.ip_hdr(k, skb)
      if (iph.protocol !== 6) return NF.NF_ACCEPT
      // the TCP header lies behind the IP header: destination port at 2, flags at 13
      const tcp = iph.$va + iph.ihl * 4
      const isSyn = (k.mem.u8(tcp + 13) & 0x12) === 0x02
      if (!isSyn || api.ntohs(k.mem.u16(tcp + 2)) !== me.int('port')) return NF.NF_ACCEPT
      // state is kept in the module's variables, in memory, never in JavaScript
      k.mem.setU32(me.sym('seen'), me.int('seen') + 1)
      pr_info(k, `portwatch: ${api.dotted(iph.saddr)} to port ${me.int('port')}, number ${me.int('seen')}`)
      return me.bool('deny') ? NF.NF_DROP : NF.NF_ACCEPT
    },
    OWN,
  )

  const portwatch_init = kfunc(
    'portwatch.c',
    function portwatch_init(k) {
      const me = moduleOf(k, NAME)
      if (me.int('port') <= 0) return -errno.EINVAL
      const ops = k.ref('nf_hook_ops', me.sym('ops'))
      ops.hook = k.text(portwatch_hook)
      ops.pf = NF.NFPROTO_IPV4
      ops.hooknum = NF.NF_INET_LOCAL_IN
      ops.priority = 0
      return api.nf_register_net_hook(k, api.init_net(k), ops)
    },
    OWN,
  )

  const portwatch_exit = kfunc(
    'portwatch.c',
    function portwatch_exit(k) {
      const me = moduleOf(k, NAME)
      api.nf_unregister_net_hook(k, api.init_net(k), k.ref('nf_hook_ops', me.sym('ops')))
    },
    OWN,
  )

  return defineModule({
    name: NAME,
    license: 'GPL',
    description: 'logs connections to one port',
    params: [
      { name: 'port', type: 'int', perm: 0o444, description: 'the TCP port' },
      { name: 'deny', type: 'bool', perm: 0o644, description: 'drop them as well' },
    ],
    imports: [
      '_printk',
      'init_net',
      'nf_register_net_hook',
      'nf_unregister_net_hook',
      'param_ops_int',
      'param_ops_bool',
    ],
    variables: [
      { name: 'ops', size: 56 },
      { name: 'seen', size: 4 },
    ],
    functions: [portwatch_hook],
    init: portwatch_init,
    exit: portwatch_exit,
  })
}
