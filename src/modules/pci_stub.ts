/** `pci_stub`: a module that came with the kernel and is in use; there to be seen in lists. */

import { kfunc } from '../linux/kfunc.ts'
import { defineModule, moduleOf } from '../linux/kernel/module/api.ts'
import { try_module_get } from '../linux/kernel/module/main.ts'

const NAME = 'pci_stub'
const FILE = 'drivers/pci/pci-stub.c'
const OWN = { module: NAME } as const

const pci_stub_init = kfunc(
  FILE,
  function pci_stub_init(k): number {
    // the device it holds for a guest
    try_module_get(moduleOf(k, NAME).mod)
    return 0
  },
  OWN,
)
const pci_stub_exit = kfunc(FILE, function pci_stub_exit(): void {}, OWN)

export const pci_stub = defineModule({
  name: NAME,
  license: 'GPL',
  description: 'holds a PCI device for a virtual machine',
  intree: true,
  imports: ['_printk'],
  coreBytes: 12550,
  init: pci_stub_init,
  exit: pci_stub_exit,
})
