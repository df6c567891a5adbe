"""Everything of the app as of 0005_funding_rates, in one step; databases of before go on from where they are."""

import django.contrib.postgres.indexes
import django.core.serializers.json
import django.db.models.deletion
from django.db import migrations, models

from nautilus_site.common.create_models import CreateModels


class Migration(migrations.Migration):

    replaces = [
        ('universe', '0001_initial'),
        ('universe', '0002_mark_prices'),
        ('universe', '0003_rate_counts'),
        ('universe', '0004_listings'),
        ('universe', '0005_funding_rates'),
    ]

    initial = True

    dependencies = [
    ]

    operations = [
        CreateModels([
                migrations.CreateModel(
                    name='Venue',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('name', models.CharField(max_length=40, unique=True)),
                        ('market', models.CharField(choices=[('spot', 'spot'), ('usdm', 'USD-M futures')], max_length=8)),
                        ('environment', models.CharField(help_text='local, testnet, demo or live', max_length=8)),
                        ('last_synced_at', models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        'ordering': ['name'],
                    },
                ),
                migrations.CreateModel(
                    name='Instrument',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('venue', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='instruments', to='universe.venue')),
                        ('symbol', models.CharField(max_length=32)),
                        ('market', models.CharField(max_length=8)),
                        ('base_asset', models.CharField(max_length=20)),
                        ('quote_asset', models.CharField(max_length=20)),
                        ('status', models.CharField(help_text="the venue's word (TRADING, HALT, BREAK, ...) or DELISTED", max_length=20)),
                        ('filters', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, help_text="the symbol's entry of exchangeInfo, as sent")),
                        ('version', models.PositiveIntegerField(default=1)),
                        ('listed_at', models.DateTimeField(blank=True, help_text='where the venue says it', null=True)),
                        ('first_seen_at', models.DateTimeField()),
                        ('updated_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['symbol', 'venue_id'],
                        'indexes': [models.Index(fields=['market', 'symbol'], name='instrument_market_symbol')],
                        'constraints': [models.UniqueConstraint(fields=('venue', 'symbol'), name='instrument_venue_symbol')],
                    },
                ),
                migrations.CreateModel(
                    name='Bar',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('instrument', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='bars', to='universe.instrument')),
                        ('interval', models.CharField(max_length=4)),
                        ('open_time', models.DateTimeField(help_text='market time')),
                        ('close_time', models.DateTimeField(help_text="market time of the bar's last millisecond")),
                        ('open', models.DecimalField(decimal_places=10, max_digits=28)),
                        ('high', models.DecimalField(decimal_places=10, max_digits=28)),
                        ('low', models.DecimalField(decimal_places=10, max_digits=28)),
                        ('close', models.DecimalField(decimal_places=10, max_digits=28)),
                        ('volume', models.DecimalField(decimal_places=10, help_text='base asset', max_digits=28)),
                        ('quote_volume', models.DecimalField(decimal_places=10, max_digits=28)),
                        ('trades', models.PositiveBigIntegerField()),
                        ('taker_base', models.DecimalField(decimal_places=10, help_text='base bought by takers', max_digits=28)),
                        ('received_at', models.DateTimeField(help_text='wall time')),
                        ('source', models.CharField(choices=[('stream', 'stream'), ('rest', 'REST'), ('import', 'import')], max_length=8)),
                    ],
                    options={
                        'indexes': [django.contrib.postgres.indexes.BrinIndex(fields=['open_time'], name='bar_open_time_brin')],
                        'constraints': [models.UniqueConstraint(fields=('instrument', 'interval', 'open_time'), name='bar_unique'), models.CheckConstraint(condition=models.Q(('low__gt', 0), ('low__lte', models.F('open')), ('low__lte', models.F('close')), ('high__gte', models.F('open')), ('high__gte', models.F('close')), ('volume__gte', 0)), name='bar_prices_possible')],
                    },
                ),
                migrations.CreateModel(
                    name='FundingRate',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('symbol', models.CharField(help_text='of a USD-M perpetual', max_length=32)),
                        ('funding_at', models.DateTimeField(help_text='market time, whole minutes')),
                        ('rate', models.DecimalField(decimal_places=8, help_text='a fraction; longs pay a positive one', max_digits=12)),
                        ('mark_price', models.DecimalField(decimal_places=10, help_text='where it is told', max_digits=28, null=True)),
                        ('source', models.CharField(choices=[('stream', 'stream'), ('rest', 'REST'), ('import', 'import')], max_length=8)),
                        ('received_at', models.DateTimeField(help_text='wall time')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('symbol', 'funding_at'), name='funding_rate_unique'), models.CheckConstraint(condition=models.Q(('rate__gt', -1), ('rate__lt', 1)), name='funding_rate_possible')],
                    },
                ),
                migrations.CreateModel(
                    name='InstrumentVersion',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('instrument', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='universe.instrument')),
                        ('version', models.PositiveIntegerField()),
                        ('filters', models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder)),
                        ('status', models.CharField(max_length=20)),
                        ('valid_from', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['instrument_id', '-version'],
                        'constraints': [models.UniqueConstraint(fields=('instrument', 'version'), name='instrument_version_number')],
                    },
                ),
                migrations.CreateModel(
                    name='KlineFile',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('symbol', models.CharField(max_length=32)),
                        ('market', models.CharField(max_length=8)),
                        ('interval', models.CharField(max_length=4)),
                        ('path', models.CharField(help_text='relative to the store', max_length=200)),
                        ('sha256', models.CharField(max_length=64)),
                        ('rows', models.PositiveBigIntegerField()),
                        ('first_open_time', models.DateTimeField()),
                        ('last_open_time', models.DateTimeField()),
                        ('gaps', models.JSONField(default=list, help_text='[{first_missing, last_missing, missing}], market time, the first 1000')),
                        ('source', models.CharField(max_length=200)),
                        ('created_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['market', 'symbol', 'interval'],
                        'constraints': [models.UniqueConstraint(fields=('market', 'symbol', 'interval'), name='kline_file_series')],
                    },
                ),
                migrations.CreateModel(
                    name='Listing',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('instrument', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='listing', to='universe.instrument')),
                        ('seen_at', models.DateTimeField(help_text='wall time of the look that found it')),
                        ('missed_at', models.DateTimeField(help_text='wall time of the last look that did not')),
                        ('listed_at', models.DateTimeField(blank=True, help_text="market time from which it trades: the venue's word, else its first minute with a trade", null=True)),
                        ('opened_at', models.DateTimeField(blank=True, help_text='wall time at which it was told of: it trades and its age is known', null=True)),
                    ],
                    options={
                        'ordering': ['-id'],
                        'indexes': [models.Index(fields=['opened_at'], name='listing_opened')],
                        'constraints': [models.CheckConstraint(condition=models.Q(('opened_at', None), ('listed_at__isnull', False), _connector='OR'), name='listing_opened_with_its_age')],
                    },
                ),
                migrations.CreateModel(
                    name='Quote',
                    fields=[
                        ('instrument', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='universe.instrument')),
                        ('bid', models.DecimalField(decimal_places=10, max_digits=28, null=True)),
                        ('ask', models.DecimalField(decimal_places=10, max_digits=28, null=True)),
                        ('bid_quantity', models.DecimalField(decimal_places=10, default=0, max_digits=28)),
                        ('ask_quantity', models.DecimalField(decimal_places=10, default=0, max_digits=28)),
                        ('last_price', models.DecimalField(decimal_places=10, max_digits=28, null=True)),
                        ('market_time', models.DateTimeField(help_text="the venue's time, where the message carries one", null=True)),
                        ('mark_price', models.DecimalField(decimal_places=10, help_text='USD-M: what margins are judged by', max_digits=28, null=True)),
                        ('index_price', models.DecimalField(decimal_places=10, max_digits=28, null=True)),
                        ('funding_rate', models.DecimalField(decimal_places=10, help_text='of the running interval; longs pay when positive', max_digits=28, null=True)),
                        ('next_funding_at', models.DateTimeField(help_text='market time', null=True)),
                        ('mark_received_at', models.DateTimeField(help_text='wall time of the mark price', null=True)),
                        ('received_at', models.DateTimeField(help_text='wall time; what freshness is judged by')),
                    ],
                ),
                migrations.CreateModel(
                    name='RateCount',
                    fields=[
                        ('key', models.CharField(max_length=200, primary_key=True, serialize=False)),
                        ('used', models.IntegerField(default=0)),
                        ('expires_at', models.DateTimeField(db_index=True)),
                    ],
                ),
                migrations.CreateModel(
                    name='StreamState',
                    fields=[
                        ('name', models.CharField(max_length=80, primary_key=True, serialize=False)),
                        ('connected_at', models.DateTimeField(blank=True, help_text='null while disconnected', null=True)),
                        ('last_message_at', models.DateTimeField(blank=True, null=True)),
                        ('gap_since', models.DateTimeField(blank=True, help_text='start of a gap not yet back-filled', null=True)),
                        ('reconnects', models.PositiveIntegerField(default=0)),
                        ('detail', models.CharField(blank=True, max_length=300)),
                    ],
                    options={
                        'ordering': ['name'],
                    },
                ),
                migrations.CreateModel(
                    name='VenueBackoff',
                    fields=[
                        ('venue', models.CharField(max_length=40, primary_key=True, serialize=False)),
                        ('weight_limit', models.PositiveIntegerField(default=6000, help_text='per minute')),
                        ('windows', models.JSONField(default=list, help_text='limits as announced: [kind, seconds, limit]')),
                        ('used_weight', models.PositiveIntegerField(default=0)),
                        ('used_at', models.DateTimeField(blank=True, help_text='when used_weight was reported', null=True)),
                        ('blocked_until', models.DateTimeField(blank=True, null=True)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                    ],
                ),
        ]),
    ]
