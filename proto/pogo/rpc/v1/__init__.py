"""The contracts between services, generated from the `.proto` files beside this one."""
