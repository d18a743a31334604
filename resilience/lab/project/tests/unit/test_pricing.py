import pytest
from shop.invoices import invoice
from shop.pricing import discounted, shown, total, with_vat

pytestmark = [pytest.mark.unit, pytest.mark.offline_capable]


@pytest.mark.critical
@pytest.mark.parametrize(
    ("cents", "percent", "expected"), [(1000, 0, 1000), (999, 10, 899), (1, 50, 1), (4900, 100, 0)]
)
def test_discounts_round_half_up(cents, percent, expected):
    assert discounted(cents, percent) == expected


def test_a_discount_beyond_everything_is_refused():
    with pytest.raises(ValueError, match="120"):
        discounted(100, 120)


@pytest.mark.critical
def test_vat_is_added_by_country():
    assert (with_vat(1000, "AT"), with_vat(1000, "DE"), with_vat(1000, "US")) == (1200, 1190, 1000)


def test_prices_are_shown_with_two_digits():
    assert (shown(5), shown(123456)) == ("0.05 EUR", "1234.56 EUR")


@pytest.mark.mission_critical
def test_a_cart_adds_up():
    assert total([(2, 4900), (4, 900)]) == 13400


def test_an_invoice_names_the_vat():
    assert invoice({"name": "Hedy Radio", "country": "AT"}, 1000) == "Hedy Radio: 12.00 EUR (VAT 20 %)"


def test_an_invoice_abroad_has_no_vat():
    assert invoice({"name": "Grace Compilers", "country": "US"}, 1000) == "Grace Compilers: 10.00 EUR (VAT 0 %)"


@pytest.mark.slow
def test_no_discount_loses_or_makes_a_cent():
    for cents in range(1, 20_001, 7):
        for percent in range(0, 101, 5):
            assert 0 <= discounted(cents, percent) <= cents


@pytest.mark.skip(reason="exports moved to the billing service")
def test_invoices_are_exported_as_csv():
    raise NotImplementedError


@pytest.mark.xfail(reason="prices beyond a million are shown without separators", strict=True)
def test_large_prices_have_separators():
    assert shown(123456789) == "1,234,567.89 EUR"
