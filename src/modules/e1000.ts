/** The network card's driver as the module it is in every distribution. @see drivers/net/ethernet/intel/e1000 */

import { e1000_functions } from '../linux/drivers/net/e1000/e1000_main.ts'
import { defineModule } from '../linux/kernel/module/api.ts'

export const e1000 = defineModule({
  name: 'e1000',
  license: 'GPL v2',
  author: 'Intel Corporation, <linux.nics@intel.com>',
  description: 'Intel(R) PRO/1000 Network Driver',
  intree: true,
  functions: e1000_functions,
})
