"""The parts of the campaigns that kill gateways: processes, bank, shop, ledgers and the report."""
