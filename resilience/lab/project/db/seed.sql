insert into customer (id, name, country, vat_id) values
    (1, 'Ada Analytics', 'GB', 'GB123456789'),
    (2, 'Grace Compilers', 'US', null),
    (3, 'Hedy Radio', 'AT', 'ATU12345678')
on conflict do nothing;
insert into product (sku, title, price_cents, stock) values
    ('LAMP', 'Desk lamp', 4900, 12),
    ('CHAIR', 'Office chair', 18900, 5),
    ('DESK', 'Standing desk', 49900, 2),
    ('MUG', 'Mug', 900, 140)
on conflict do nothing;
insert into customer_order (id, customer_id, placed_on, status) values
    (1, 1, '2026-09-03', 'paid'),
    (2, 1, '2026-09-17', 'shipped'),
    (3, 2, '2026-09-21', 'cancelled'),
    (4, 3, '2026-10-02', 'paid')
on conflict do nothing;
insert into order_line (order_id, sku, quantity, price_cents) values
    (1, 'LAMP', 2, 4900), (1, 'MUG', 4, 900),
    (2, 'CHAIR', 1, 18900),
    (3, 'DESK', 1, 49900),
    (4, 'MUG', 10, 900)
on conflict do nothing;
