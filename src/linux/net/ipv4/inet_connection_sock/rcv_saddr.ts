/** Do two socks want the same local address, of either family? */

import type { in6_addr, sock } from '../../../../btf/vmlinux.ts'
import { IPV6_ADDR_ANY, IPV6_ADDR_MAPPED } from '../../../../abi/in6.ts'
import { AF_INET6 } from '../../../../abi/socket.ts'
import { ipv6_addr_equal } from '../../../include/net/ipv6.ts'
import { ipv6_only_sock } from '../../../include/net/sock.ts'
import type { Kernel } from '../../../kernel.ts'
import { kfunc } from '../../../kfunc.ts'
import { __ipv6_addr_type } from '../../ipv6/addrconf_core.ts'

const FILE = 'net/ipv4/inet_connection_sock.c'

/** By the IPv4 addresses; the second sock must hear IPv4 at all. @see ipv4_rcv_saddr_equal */
function ipv4_rcv_saddr_equal(sk: sock, sk2: sock, matchWildcard: boolean): boolean {
  if (ipv6_only_sock(sk2)) return false
  if (sk.sk_rcv_saddr === sk2.sk_rcv_saddr) return true
  return matchWildcard && (sk.sk_rcv_saddr === 0 || sk2.sk_rcv_saddr === 0)
}

/** `::` takes every address, those of IPv4 unless its sock is IPV6_V6ONLY. @param sk of AF_INET6 */
const ipv6_rcv_saddr_equal = kfunc(
  FILE,
  function ipv6_rcv_saddr_equal(k: Kernel, sk: sock, sk2: sock, matchWildcard: boolean): boolean {
    const addr = sk.sk_v6_rcv_saddr
    const addr2: in6_addr | null = sk2.sk_family === AF_INET6 ? sk2.sk_v6_rcv_saddr : null
    const type = __ipv6_addr_type(k, addr)
    const type2 = addr2 === null ? IPV6_ADDR_MAPPED : __ipv6_addr_type(k, addr2)
    if (type === IPV6_ADDR_MAPPED && type2 === IPV6_ADDR_MAPPED) {
      return ipv4_rcv_saddr_equal(sk, sk2, matchWildcard)
    }
    if (type === IPV6_ADDR_ANY && type2 === IPV6_ADDR_ANY) return true
    const hears = (any: sock, other: number): boolean => !(ipv6_only_sock(any) && other === IPV6_ADDR_MAPPED)
    if (matchWildcard && type2 === IPV6_ADDR_ANY && hears(sk2, type)) return true
    if (matchWildcard && type === IPV6_ADDR_ANY && hears(sk, type2)) return true
    return addr2 !== null && ipv6_addr_equal(addr, addr2)
  },
)

/**
 * @param matchWildcard an unset address is every address
 * @see net/ipv4/inet_connection_sock.c:inet_rcv_saddr_equal
 */
export const inet_rcv_saddr_equal = kfunc(
  FILE,
  function inet_rcv_saddr_equal(k: Kernel, sk: sock, sk2: sock, matchWildcard: boolean): boolean {
    return sk.sk_family === AF_INET6
      ? ipv6_rcv_saddr_equal(k, sk, sk2, matchWildcard)
      : ipv4_rcv_saddr_equal(sk, sk2, matchWildcard)
  },
)
