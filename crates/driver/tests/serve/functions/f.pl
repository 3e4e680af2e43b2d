use strict;
use warnings;

sub handle {
    my ($context, $payload) = @_;
    return $context->{secrets}{ $payload->{secret} } if $payload->{secret};
    if ($payload->{log}) {
        print "$payload->{log} out\n";
        print STDERR "$payload->{log} err\n";
    }
    die "$payload->{fail}\n" if $payload->{fail};
    return 'x' x $payload->{big} if $payload->{big};
    if ($payload->{wait}) {
        open my $mark, '>', $payload->{mark} or die "$payload->{mark}: $!\n";
        select undef, undef, undef, 0.005 while !-e $payload->{wait};
        return 'gone on';
    }
    return $payload->{echo};
}

1;
